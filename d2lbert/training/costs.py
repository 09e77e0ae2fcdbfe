"""What a training step costs: operations to compute, bytes to send.

A FLOP is a multiplication or an addition of two numbers; a product of an
(m, k) and a (k, n) matrix takes 2 m k n of them. Only products are counted,
which are nearly all. A step's backward pass has two products for each of the
forward pass, so the whole takes three times as many.
"""

FORWARD_AND_BACKWARD = 3


def step_flops(vocab_size: int, num_hiddens: int, ffn_num_hiddens: int,
               num_blks: int, batch_size: int, columns: int, slots: float,
               queries: int | None = None) -> dict[str, float]:
    """The FLOPs of a step of pretraining d2l's BERT, part by part.

    Args:
        columns: of a batch, L; slots: predicted in a pair, on average.
        queries: so many vectors of a pair the last block computes; None for
            all columns.

    Returns:
        {part: FLOPs}, forward and backward pass together.
    """
    H, keys = num_hiddens, batch_size * columns
    last = batch_size * (columns if queries is None else queries)
    rows = (num_blks - 1) * keys + last  # whose vectors blocks compute
    predicted = batch_size * slots
    forward = {
        # Queries and outputs of these, keys and values of all columns
        "projections": 2 * H * H * 2 * (rows + num_blks * keys),
        "scores and sums": 2 * rows * columns * H * 2,
        "feed-forward": 2 * rows * H * ffn_num_hiddens * 2,
        "vocabulary": 2 * predicted * H * vocab_size,
        "other heads": 2 * (predicted * H * H + batch_size * H * (H + 2))}
    return {part: FORWARD_AND_BACKWARD * float(flops)
            for part, flops in forward.items()}


def all_reduce_bytes(size: float, workers: int) -> float:
    """The bytes that each of the workers sends to add up arrays in a ring.

    First each worker ends up with the sum of one part, then the parts go
    round (Patarasu and Yuan, 2009): both times all parts but one are sent.

    Args:
        size: of the arrays, in bytes.
    """
    return 2 * (workers - 1) / workers * size
