"""Inside the backends: a class for each, in the file of its name.

`Inside` says what the tests ask of a backend. What it does itself fits a net
that holds its weights and is called; what is left open here, and what is
otherwise in a backend, its own class says.
"""

from importlib import import_module

from d2lbert.backends import load_backend


def inside(backend):
    """The object that looks inside a backend."""
    load_backend(backend)  # which may have to prepare its framework
    return import_module(f"inside.{backend}").Inside()


class Inside:
    """What the tests ask of a backend.

    `bert` is a `d2lbert.run.models.Model`. Inputs and outputs are tensors of
    the backend, if it is not said that they are arrays.
    """

    def run(self, bert, *inputs):
        """What the net gives for some inputs, in evaluation mode."""
        return bert.net(*inputs)

    def run_block(self, bert, X, valid_lens=None):
        """What the encoder's first block gives for (B, L, H)."""
        return bert.net.encoder.blks[0](X, valid_lens)

    def run_classifier(self, bert, tokens, segments, valid_lens):
        """The logits (B, C) of a `BERTClassifier`, in evaluation mode."""
        return self.run(bert, (tokens, segments, valid_lens))

    def activations(self, bert, *inputs):
        """The output of each attention and each block, in order, (B, L, H).
        """
        raise NotImplementedError

    def attention_weights(self, bert, *inputs):
        """The weights (B, num_heads, L, L) in the encoder's first block."""
        attention = bert.net.encoder.blks[0].attention
        attention.keep_weights = True
        self.run(bert, *inputs)
        weights = attention.attention_weights
        attention.keep_weights = False
        self.run(bert, *inputs)
        assert attention.attention_weights is None  # not of another call
        return weights

    def losses_and_grads(self, bert, batch, vocab_size):
        """What `_get_batch_loss_bert` gives for a batch of the loaders.

        Returns:
            Two floats, masked LM and next sentence, and {shared name: array},
            the gradient of their sum.
        """
        raise NotImplementedError

    def attend(self, function, arrays, visible):
        """Call `dot_product_attention` or `fused_attention`, no dropout.

        Args:
            arrays: Q, K, V, each (B, num_heads, L, d).
            visible: array (B, 1, 1, L), True where a key may be seen.

        Returns:
            The vectors, an array of the shape of Q, and three more: the
            gradients of the sum of their squares.
        """
        raise NotImplementedError

    def fresh_params(self, d2l, net, *inputs):
        """The weights of a new net, as the backend itself initialises it.

        Args:
            d2l: the backend's module; inputs: those of the net.

        Returns:
            {shared name: array}.
        """
        return d2l.export_params(net)


def attentions_and_blocks(bert):
    """The encoder's attention and block, one after the other."""
    return [part for blk in bert.net.encoder.blks
            for part in (blk.attention, blk)]
