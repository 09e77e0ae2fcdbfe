"""Training on several devices and by several processes, in MXNet.

A batch is computed in parts, one after another, on several devices, or in
several processes. The loss of the batch is the sum of the parts' losses, each
times its share, and its gradient is the sum of theirs: what comes out is what
one device would have computed from the whole batch.

Processes are a parameter server's (Li et al., 2014): each worker pushes its
gradients to a server and pulls their sums. The server adds as they arrive, so
that three or more workers get the last bits of a sum as it happens.
"""

import ctypes
import os
from functools import cache

from mxnet import autograd, kv, np
from mxnet.base import _LIB, check_call

from d2lbert.data.parts import check_part, parts_of
from d2lbert.mxnet.fast import count_slots_and_pairs
from d2lbert.training.workers import Workers, settings, shares


class ParameterServer(Workers):
    """The processes that a scheduler has connected, with a server."""

    def __init__(self):
        self.store, self.keys = kv.create("dist_sync"), set()
        self.rank, self.size = self.store.rank, self.store.num_workers
        self.wait_for_others(False)

    def own(self, devices):
        """One of the machine's devices, by the number of the process."""
        number = int(os.environ.get("LOCAL_RANK", self.rank))
        return [devices[number % len(devices)]]

    def total(self, counts):
        """The sums over all processes, on the host; exact up to 2^24."""
        # The store adds in 32 bits, whatever the type
        return tuple(self.summed(np.array(
            counts, dtype="float32")).asnumpy().tolist())

    def summed(self, tensor):
        """The sum of a tensor over all processes, where it is."""
        self.sum_all([tensor])
        return tensor

    def sum_all(self, arrays):
        """Make each array the sum over all processes; all have to call."""
        for i, array in enumerate(arrays):
            key = f"{i} {array.dtype} {array.shape}"
            if key not in self.keys:
                self.keys.add(key)
                self.store.init(key, np.zeros_like(array))
            # A store on CPUs writes what it pulls over what was pushed, too
            self.store.push(key, array, priority=-i)
            self.store.pull(key, array, priority=-i)
        # Nothing else keeps two sums by one key in their order
        for array in arrays:
            array.wait_to_read()

    def wait_for_others(self, is_done):
        """Whether the end of this process waits for that of the others.

        MXNet always does so; but one that has failed in a training would
        never end, since the others wait for it there.
        """
        check_call(_LIB.MXKVStoreSetBarrierBeforeExit(
            self.store.handle, ctypes.c_int(is_done)))


def join_workers():
    """The processes that a scheduler connects; this one alone without it.

    Raises:
        ValueError: if the environment does not say where the scheduler is.
    """
    return _joined() if "DMLC_ROLE" in os.environ else Workers()


@cache
def _joined():
    settings("DMLC_ROLE", "DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT",
             "DMLC_NUM_SERVER", "DMLC_NUM_WORKER")
    return ParameterServer()  # MXNet can join once in a process


class Gradients:
    """Computes the losses of batches, and adds up the gradients, in parts.

    It is a context: gradients are added up inside, and afterwards they are
    written, as before.

    Args:
        net, batch_loss, loss, vocab_size: as in `train_bert`.
        devices: each computes a shard of a part at the same time.
        accumulate: so many parts are computed one after another.
    """

    def __init__(self, net, batch_loss, loss, vocab_size, devices, workers,
                 accumulate):
        self.net, self.devices = net, devices
        self.workers, self.accumulate = workers, accumulate
        self.losses = lambda shards: batch_loss(
            net, loss, vocab_size, *shards)
        self.parameters = net.collect_params().values()
        self.added = [p for p in self.parameters if p.grad_req == "write"
                      and accumulate > 1]
        self.share_weights(self.parameters)

    def __enter__(self):
        for parameter in self.added:
            parameter.grad_req = "add"
        if self.workers.size > 1:
            self.workers.wait_for_others(False)
        return self

    def __exit__(self, kind, error, traceback):
        for parameter in self.added:
            parameter.grad_req = "write"
        if self.workers.size > 1:
            self.workers.wait_for_others(kind is None)

    def __call__(self, batch):
        """A 7-tuple, this worker's part of the joint batch -> the masked-LM
        and the next-sentence loss of the joint batch.

        The gradients become those of its loss; that of a weight is the sum
        over this worker's devices.
        """
        if self.accumulate * self.workers.size == 1:
            return self.backward([shard(x, self.devices) for x in batch])
        parts = self.parts(batch)
        self.size_weights(parts[0])
        self.net.collect_params().zero_grad()
        losses = sum(
            np.stack(self.backward(part, share))
            * np.array(share, ctx=self.devices[0])
            for part, share in zip(parts, shares(
                [count_slots_and_pairs(part[4], part[6])
                 for part in parts], self.workers)))
        if self.workers.size > 1:
            self.workers.sum_all([
                grad for grads in gradients_of(self.parameters)
                for grad in grads])
        return self.workers.summed(losses)

    def parts(self, batch):
        """A batch in parts, each as a batch loss takes it: in shards."""
        width = len(self.devices)
        rows = parts_of(batch, self.accumulate * width)
        return [[[x.as_in_ctx(device) for x, device in zip(xs, self.devices)]
                 for xs in zip(*rows[start:start + width])]
                for start in range(0, len(rows), width)]

    def backward(self, part, share=None):
        """Both losses of a part; the gradients go to those of the net.

        Args:
            share: for how much each of the losses counts; None for what the
                batch loss says.
        """
        with autograd.record():
            mlm_ls, nsp_ls, ls = self.losses(part)
            if share:
                ls = [share[0] * mlm_l + share[1] * nsp_l
                      for mlm_l, nsp_l in zip(mlm_ls, nsp_ls)]
        autograd.backward(ls)
        return total(mlm_ls), total(nsp_ls)

    def size_weights(self, part):
        """Give all workers the first one's weights if a batch makes them."""
        unsized = [p for p in self.parameters if not is_sized(p)]
        if unsized and self.workers.size > 1:
            self.losses(part)
            self.share_weights(unsized)

    def share_weights(self, parameters):
        """Give all workers the weights of the first."""
        if self.workers.size == 1:
            return
        parameters = [p for p in parameters if is_sized(p)]
        weights = [p.data().copy() if self.workers.is_first
                   else np.zeros_like(p.data()) for p in parameters]
        self.workers.sum_all(weights)
        for parameter, weight in zip(parameters, weights):
            parameter.set_data(weight)


def is_sized(parameter):
    """Whether the size is known, which a first input may have to give."""
    return min(parameter.shape) > 0


def gradients_of(parameters, are_new=False):
    """The gradients of the weights that have one, a list of one a device.

    Args:
        are_new: leave out those that no backward pass has written since the
            last step of the optimiser.
    """
    return [p.list_grad() for p in parameters
            if is_sized(p) and p.grad_req != "null"
            and (not are_new or p.list_data()[0]._fresh_grad)]


def shard(x, devices):
    """The rows of x, divided among the devices.

    Raises:
        ValueError: if there are fewer rows than devices.
    """
    check_part((0, len(devices)), len(x))
    # gluon.utils.split_data does not work with NumPy 2
    ends = [len(x) * i // len(devices) for i in range(len(devices) + 1)]
    return [x[start:end].as_in_ctx(device)
            for start, end, device in zip(ends, ends[1:], devices)]


def total(ls):
    """The sum of arrays that lie on several devices, on the first."""
    first, *others = (l.as_in_ctx(ls[0].ctx) for l in ls)
    return sum(others, first)
