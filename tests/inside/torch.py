"""Inside PyTorch."""

import torch

import inside
from d2lbert.torch.data import to_numpy


class Inside(inside.Inside):

    def run(self, bert, *inputs):
        bert.net.eval()
        return bert.net(*inputs)

    def activations(self, bert, *inputs):
        seen = []
        hooks = [part.register_forward_hook(
            lambda module, args, output: seen.append(output))
            for part in inside.attentions_and_blocks(bert)]
        self.run(bert, *inputs)
        for hook in hooks:
            hook.remove()
        return seen

    def losses_and_grads(self, bert, batch, vocab_size):
        bert.net.zero_grad()
        mlm_l, nsp_l, l = bert.d2l._get_batch_loss_bert(
            bert.net, bert.d2l.cross_entropy(), vocab_size, *batch)
        l.backward()
        return mlm_l.item(), nsp_l.item(), {
            name: to_numpy(p.grad).copy()
            for name, p in bert.net.named_parameters()}

    def attend(self, function, arrays, visible):
        tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
        out, _ = function(
            *tensors, torch.tensor(visible), torch.nn.Dropout(0.0))
        (out ** 2).sum().backward()
        return out.detach().numpy(), [x.grad.numpy() for x in tensors]
