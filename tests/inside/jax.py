"""Inside JAX, whose weights stand beside the net."""

import jax
import numpy as np

import inside


class Inside(inside.Inside):

    def run(self, bert, *inputs):
        return bert.net.apply(bert.params, *inputs)

    def run_block(self, bert, X, valid_lens=None):
        return bert.net.bind(bert.params).encoder.blks[0](X, valid_lens)[0]

    def run_classifier(self, bert, tokens, segments, valid_lens):
        return self.run(bert, tokens, segments, valid_lens)

    def activations(self, bert, *inputs):
        kept = kept_values(bert, *inputs, capture_intermediates=True)
        return [part["__call__"][0][0] for i in range(bert.net.num_blks)
                for part in (kept[f"blks_{i}"]["attention"],
                             kept[f"blks_{i}"])]

    def attention_weights(self, bert, *inputs):
        kept = kept_values(bert, *inputs)
        return kept["blks_0"]["attention"]["attention_weights"][0]

    def losses_and_grads(self, bert, batch, vocab_size):
        def loss(params):
            mlm_l, nsp_l, l = bert.d2l._get_batch_loss_bert(
                bert.net, params, None, bert.d2l.cross_entropy(), vocab_size,
                *batch)
            return l, (mlm_l, nsp_l)

        (_, (mlm_l, nsp_l)), grads = jax.value_and_grad(
            loss, has_aux=True)(bert.params)
        return float(mlm_l), float(nsp_l), bert.d2l.export_params(grads)

    def attend(self, function, arrays, visible):
        tensors = [jax.numpy.array(x.swapaxes(1, 2)) for x in arrays]

        def loss(*tensors):
            out, _ = function(*tensors, visible, lambda weights: weights)
            return (out ** 2).sum(), out

        grads, out = jax.grad(
            loss, argnums=(0, 1, 2), has_aux=True)(*tensors)
        out, *grads = (np.asarray(x).swapaxes(1, 2) for x in (out, *grads))
        return out, grads

    def fresh_params(self, d2l, net, *inputs):
        return d2l.export_params(net.init(jax.random.key(0), *inputs))


def kept_values(bert, *inputs, **options):
    """What the encoder's parts keep when the net is run."""
    _, state = bert.net.apply(
        bert.params, *inputs, mutable=["intermediates"], **options)
    return state["intermediates"]["encoder"]
