"""Inside the toy, which is NumPy."""

import inside

from d2lbert.toy.checkpoint import named_parameters
from d2lbert.toy.tape import Tensor


class Inside(inside.Inside):

    def run(self, bert, *inputs):
        bert.net.train(False)
        return bert.net(*inputs)

    def activations(self, bert, *inputs):
        seen, parts = [], inside.attentions_and_blocks(bert)
        for part in parts:
            part.forward = watched(part.forward, seen)
        self.run(bert, *inputs)
        for part in parts:
            del part.forward
        return seen

    def losses_and_grads(self, bert, batch, vocab_size):
        mlm_l, nsp_l, l = bert.d2l._get_batch_loss_bert(
            bert.net, bert.d2l.cross_entropy(), vocab_size, *batch)
        l.backward()
        return float(mlm_l), float(nsp_l), {
            name: p.grad for name, p in named_parameters(bert.net).items()}

    def attend(self, function, arrays, visible):
        tensors = list(map(Tensor, arrays))
        out, _ = function(*tensors, visible, lambda weights: weights)
        (out * out).sum().backward()
        return out.value, [x.grad for x in tensors]


def watched(forward, seen):
    """The same function, whose results are appended to a list."""
    def watching(*inputs):
        seen.append(forward(*inputs))
        return seen[-1]

    return watching
