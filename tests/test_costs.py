"""What a step costs, beside PyTorch's own counter."""

import numpy as np
import pytest
from harness import SIZES, V, installed, make_batch, small_bert

from d2lbert.training.costs import all_reduce_bytes, step_flops


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
@pytest.mark.parametrize("num_blks", [1, 3])
@pytest.mark.parametrize("is_fused", [False, True])
def test_flops_are_those_that_pytorch_counts(is_fused, num_blks):
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from d2lbert import torch as d2l
    bert = small_bert("torch", num_blks=num_blks)
    batch = make_batch()
    batch[4][:] = 1  # weights: all slots count
    B, L, P = *batch[0].shape, batch[3].shape[1]
    loss = d2l.fused_batch_loss if is_fused else d2l._get_batch_loss_bert
    with FlopCounterMode(display=False) as counter:
        loss(bert.net, nn.CrossEntropyLoss(), V,
             *d2l.to_tensors(batch))[2].backward()
    sizes = {name: SIZES[name] for name in ("num_hiddens", "ffn_num_hiddens")}
    flops = step_flops(V, **sizes, num_blks=num_blks, batch_size=B, columns=L,
                       slots=P, queries=1 + P if is_fused else None)
    # Attention in one pass, and products into given arrays, it does not see
    unseen = flops["scores and sums"] + is_fused * flops["vocabulary"] / 3
    assert counter.get_total_flops() == pytest.approx(
        sum(flops.values()) - unseen, rel=1e-9)


def test_bytes_of_a_ring():
    """Each worker passes on all parts but one, twice."""
    assert all_reduce_bytes(1000, 1) == 0
    assert [all_reduce_bytes(12, n) for n in (2, 3, 4)] == [12, 16, 18]
    assert np.isclose(all_reduce_bytes(1.0, 10**6), 2)
