"""How fast a framework multiplies matrices of this work's shapes.

    .venv/bin/python bench/matrices.py torch --precision bfloat16

Prints FLOP/s as JSON: of plain products of the shapes of a pretraining step on
WikiText-2, weighed by the operations that a step has of each.
"""

import argparse
import json
from time import perf_counter

from d2l_pretraining import BATCH_SIZE, SIZES

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.training.costs import step_flops
from d2lbert.training.precision import PRECISIONS

VOCAB_SIZE, COLUMNS, SLOTS = 20_256, 52, 7.9  # of WikiText-2's pairs
TIMES = 7


def pair_flops(columns=COLUMNS, slots=SLOTS):
    """FLOPs of a step by part, for one pair."""
    sizes = {name: SIZES[name] for name in (
        "num_hiddens", "ffn_num_hiddens", "num_blks")}
    return step_flops(VOCAB_SIZE, **sizes, batch_size=1, columns=columns,
                      slots=slots, queries=1 + slots)


def matrix_speed(backend, precision):
    """FLOP/s of plain products at these shapes, forward and backward."""
    H, F = SIZES["num_hiddens"], SIZES["ffn_num_hiddens"]
    rows, slots = BATCH_SIZE * COLUMNS, round(BATCH_SIZE * SLOTS)
    shapes = {"projections": (rows, H, H), "scores and sums": (rows, H, H),
              "feed-forward": (rows, H, F), "other heads": (slots, H, H),
              "vocabulary": (slots, H, VOCAB_SIZE)}
    multiply = MULTIPLY[backend](precision)
    flops = pair_flops()
    seconds = sum(flops[part] / speed(multiply, *shape)
                  for part, shape in shapes.items())
    return sum(flops.values()) / seconds


def speed(multiply, m, k, n):
    """FLOP/s of the three products that a layer of a step has."""
    seconds = sum(min(multiply(*shape) for _ in range(TIMES))
                  for shape in ((m, k, n), (m, n, k), (k, m, n)))
    return 3 * 2 * m * k * n / seconds


def torch_products(precision):
    import torch

    def multiply(m, k, n):
        A, B = (torch.ones(shape, dtype=getattr(torch, precision))
                for shape in ((m, k), (k, n)))
        C = A @ B
        start = perf_counter()
        torch.mm(A, B, out=C)
        return perf_counter() - start
    return multiply


def mxnet_products(precision):  # which is "float32"
    load_backend("mxnet")  # before MXNet, which needs its help
    from mxnet import np

    def multiply(m, k, n):
        A, B = np.ones((m, k)), np.ones((k, n))
        np.dot(A, B).wait_to_read()
        start = perf_counter()
        np.dot(A, B).wait_to_read()
        return perf_counter() - start
    return multiply


def jax_products(precision):
    import jax
    from jax import numpy as jnp

    from d2lbert.jax.fast import products_in
    product = jax.jit(jnp.matmul)

    def multiply(m, k, n):
        A, B = jnp.ones((m, k)), jnp.ones((k, n))
        with products_in(precision):
            product(A, B).block_until_ready()
            start = perf_counter()
            product(A, B).block_until_ready()
        return perf_counter() - start
    return multiply


MULTIPLY = {"torch": torch_products, "mxnet": mxnet_products,
            "jax": jax_products}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=BACKENDS)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    args = parser.parse_args()
    print(json.dumps({"flops": matrix_speed(args.backend, args.precision)}))


if __name__ == "__main__":
    main()
