"""Inside MXNet."""

import mxnet as mx
import numpy
from mxnet import autograd, init, np

import inside
from d2lbert.mxnet.checkpoint import named_parameters


class Inside(inside.Inside):

    def activations(self, bert, *inputs):
        seen = []
        hooks = [part.register_forward_hook(
            lambda block, args, output: seen.append(output))
            for part in inside.attentions_and_blocks(bert)]
        self.run(bert, *inputs)
        for hook in hooks:
            hook.detach()
        return seen

    def losses_and_grads(self, bert, batch, vocab_size):
        with autograd.record():
            mlm_ls, nsp_ls, ls = bert.d2l._get_batch_loss_bert(
                bert.net, bert.d2l.cross_entropy(), vocab_size,
                *([x] for x in batch))
        ls[0].backward()
        return float(mlm_ls[0]), float(nsp_ls[0]), {
            name: p.grad().asnumpy()
            for name, p in named_parameters(bert.net).items()}

    def attend(self, function, arrays, visible):
        B, num_heads, L, d = arrays[0].shape
        tensors = [np.array(x.reshape(-1, L, d)) for x in arrays]
        mask = numpy.repeat(visible[:, 0], num_heads, axis=0)
        mask = np.array(mask, dtype="float32")
        for x in tensors:
            x.attach_grad()
        with autograd.record():
            out, _ = function(
                mx, *tensors, mask, d ** 0.5, lambda weights: weights)
            loss = (out ** 2).sum()
        loss.backward()
        out, *grads = (x.asnumpy().reshape(B, num_heads, L, d)
                       for x in (out, *(x.grad for x in tensors)))
        return out, grads

    def fresh_params(self, d2l, net, *inputs):
        net.initialize(init.Xavier())  # as d2l's programs do
        return d2l.export_params(net)
