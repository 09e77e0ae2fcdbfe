"""Learning rates over the steps of a training run."""

from d2lbert.checks import check_schedule


def rates(num_steps: int, peak: float,
          warmup: float | None = 0.1) -> list[float]:
    """The learning rate of every step: linear warm-up, then linear decay.

    The BERT paper's schedule (A.2), with the warm-up as a share of the run.

    Args:
        peak: the highest rate, reached after warmup · num_steps steps; the
            rate after the last step would be 0.
        warmup: None for a constant rate.

    Raises:
        ValueError: for less than one step, a peak that is no number from 0,
            or a warmup that is no share.
    """
    check_schedule(num_steps, peak, warmup)
    if warmup is None:
        return [peak] * num_steps
    rising = max(1, round(warmup * num_steps))
    falling = max(1, num_steps - rising + 1)
    return [peak * (step + 1) / rising if step < rising
            else peak * (num_steps - step) / falling
            for step in range(num_steps)]
