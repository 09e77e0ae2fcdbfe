"""Training on several devices and by several processes, in PyTorch.

A batch is computed in parts, one after another, on several devices, or in
several processes. The loss of the batch is the sum of the parts' losses, each
times its share, and its gradient is the sum of theirs: what comes out is what
one device would have computed from the whole batch.

Processes are torchrun's. `DistributedDataParallel` adds up their gradients
(Li et al., 2020); `fully_shard` also divides weights and optimiser among them
(Zhao et al., 2023).
"""

import atexit
import copy
import os
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel

from d2lbert.data.parts import parts_of
from d2lbert.torch.fast import fused_batch_loss, products_in
from d2lbert.training.workers import Workers, settings, shares, step_seed

TIMEOUT = timedelta(minutes=10)  # for a worker that lives and does not answer


class BatchLoss(nn.Module):
    """A net with its loss, so that a call on a batch gives the losses.

    What prepares for the gradients of a net, of several processes or devices,
    does so in the call of a module, and a batch loss calls the parts of net.
    """

    def __init__(self, net, batch_loss, loss, vocab_size):
        super().__init__()
        self.net = net
        self.batch_loss = lambda *batch: batch_loss(
            net, loss, vocab_size, *batch)

    def forward(self, *batch):
        """A 7-tuple -> masked-LM loss, next-sentence loss, total loss."""
        return self.batch_loss(*batch)


class ProcessGroup(Workers):
    """The processes of torchrun, which are in a process group.

    Args:
        is_sharded: whether each of them keeps its part of the weights and of
            the optimiser alone, instead of all.
    """

    def __init__(self, is_sharded):
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self.is_sharded = is_sharded

    def own(self, devices):
        """One of the machine's devices, by the number of the process."""
        return [devices[int(os.environ["LOCAL_RANK"]) % len(devices)]]

    def total(self, counts):
        """The sums over all processes, on the host."""
        return tuple(self.summed(
            torch.tensor(counts, dtype=torch.float64)).tolist())

    def summed(self, tensor):
        """The sum of a tensor over all processes, where it is."""
        distributed.all_reduce(tensor)
        return tensor

    def connected(self, model, uses_all):
        """A `BatchLoss` whose backward pass averages all processes' gradients.

        Args:
            uses_all: whether each weight gets a gradient in each batch.
        """
        if not self.is_sharded:
            return DistributedDataParallel(
                model, find_unused_parameters=not uses_all)
        from torch.distributed.fsdp import fully_shard  # takes 0.5 s
        for blk in model.net.encoder.blks:
            fully_shard(blk)
        return fully_shard(model)

    def exchange(self, model, is_last):
        """Let the next backward pass exchange gradients, if it is the last.
        """
        if self.is_sharded:
            model.set_requires_gradient_sync(is_last)
        else:
            model.require_backward_grad_sync = is_last


def join_workers(is_sharded=False):
    """The processes that torchrun has started; this one alone without it.

    Args:
        is_sharded: whether each of them keeps only its part of weights,
            gradients and optimiser, for a training that one device has no
            room for. The weights alone have to fit: they begin and end whole.

    Raises:
        ValueError: if torchrun's environment is not complete.
    """
    if "WORLD_SIZE" not in os.environ:
        return Workers()
    if not distributed.is_initialized():
        *_, local_rank = settings("WORLD_SIZE", "RANK", "MASTER_ADDR",
                                  "MASTER_PORT", "LOCAL_RANK")
        engines = "gloo"
        if torch.cuda.is_available():
            engines = "cpu:gloo,cuda:nccl"
            torch.cuda.set_device(
                int(local_rank) % torch.cuda.device_count())
        distributed.init_process_group(engines, timeout=TIMEOUT)
        atexit.register(leave)
    return ProcessGroup(is_sharded)


def leave():
    """End the threads of the group, which would abort a process that ends."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def seed_step(seed, step, workers):
    """Fix what a worker draws in a step, where there are several."""
    if workers.size > 1:
        torch.manual_seed(step_seed(seed, step, workers.rank))


def call_on(device, home, module, *inputs):
    """module(*inputs) on a device, with the weights that it has on another.

    Gradients flow back to them.
    """
    if device == home:
        return module(*inputs)
    state = [*module.named_parameters(), *module.named_buffers()]
    return functional_call(
        module, {name: x.to(device) for name, x in state}, inputs)


class Gradients:
    """Computes the losses of batches, and adds up the gradients, in parts.

    Args:
        net, batch_loss, loss, vocab_size: as in `train_bert`.
        devices: each computes a part at the same time.
        accumulate: so many parts a device computes one after another.
        precision: of products.

    Attributes:
        net: the one that is trained, with the first worker's weights: that
            which was given or, where it is divided among workers, a copy.
    """

    def __init__(self, net, batch_loss, loss, vocab_size, devices, workers,
                 accumulate, precision):
        self.devices, self.workers = devices, workers
        self.accumulate, self.precision = accumulate, precision
        self.given, self.net = net, net
        if workers.size > 1:
            for tensor in net.state_dict().values():
                distributed.broadcast(tensor, 0)
            self.net = copy.deepcopy(net) if workers.is_sharded else net
        self.model = BatchLoss(self.net, batch_loss, loss, vocab_size)
        if workers.size > 1:
            self.model = workers.connected(
                self.model, uses_all=batch_loss is fused_batch_loss)

    def __call__(self, batch):
        """A 7-tuple, this worker's part of the joint batch -> the masked-LM
        and the next-sentence loss of the joint batch.

        The gradients of its loss are added to those of the net.
        """
        width = len(self.devices)
        if self.accumulate * width * self.workers.size == 1:
            mlm_l, nsp_l, l = self.losses(batch, self.devices[0])
            l.backward()
            return mlm_l.detach(), nsp_l.detach()
        parts = parts_of(batch, self.accumulate * width)
        parts = list(zip(parts, shares(
            [slots_and_pairs(part) for part in parts], self.workers)))
        total = 0
        for start in range(0, len(parts), width):
            self.workers.exchange(self.model, start + width == len(parts))
            losses = self.weighted(parts[start:start + width])
            # The gradients of several workers are averaged
            (losses.sum() * self.workers.size).backward()
            total = total + losses.detach()
        return self.workers.summed(total).unbind()

    def weighted(self, parts):
        """Both losses of some parts, a device each: a (2,) tensor."""
        total = 0
        for device, (part, share) in zip(self.devices, parts):
            losses = torch.stack(self.losses(part, device)[:2])
            weights = torch.tensor(share, dtype=losses.dtype)
            total = total + (losses * weights.to(device)).to(self.devices[0])
        return total

    def losses(self, batch, device):
        """The losses of a part, computed on a device."""
        batch = [x.to(device) for x in batch]
        with products_in(self.precision, device):
            return call_on(device, self.devices[0], self.model, *batch)

    def close(self):
        """Give all weights to the net that was given, if there is a copy."""
        if self.net is not self.given:
            self.given.load_state_dict({
                name: tensor.full_tensor()
                for name, tensor in self.net.state_dict().items()})


def slots_and_pairs(batch):
    """How many slots of weight 1 and how many pairs a 7-tuple has."""
    *_, mlm_weights_X, _, nsp_y = batch
    return float(mlm_weights_X.sum()), len(nsp_y)

