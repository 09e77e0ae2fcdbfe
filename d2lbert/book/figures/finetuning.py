"""The drawings of the chapter on fine-tuning."""

from matplotlib.figure import Figure

from d2lbert.book.figures.drawing import (
    BLUE,
    GREEN,
    MONO,
    PALE,
    PINK,
    RED,
    arrow,
    box,
    page,
    row,
)


def finetune_single() -> Figure:
    """One text and one class, read from <cls> (BERT paper, figure 4b)."""
    words = "<cls> a crane eats fish in the marsh <sep>".split()
    return _fine_tuning(words, ["crane (bird)"], "14 scores")


def finetune_pair() -> Figure:
    """Two texts and one class, read from <cls> (BERT paper, figure 4a)."""
    return _fine_tuning(PAIR, ["same sense"], "2 scores", segments=6)


def finetune_regression() -> Figure:
    """Two texts and a number, read from <cls>."""
    return _fine_tuning(PAIR, ["0.5"], "1 number", segments=6)


def finetune_tagging() -> Figure:
    """A tag for each token (BERT paper, figure 4d)."""
    words = "<cls> at dusk mira came to oskby <sep>".split()
    tags = "when when who other other where".split()
    return _fine_tuning(words, tags, "4 scores for each token", first=1)


def finetune_qa() -> Figure:
    """A span of the second text (BERT paper, figure 4c)."""
    words = "<cls> she is in <mask> <sep> mira came to oskby <sep>".split()
    answers = ["", "", "", "first\nand last"]
    return _fine_tuning(words, answers, "2 scores for each token", first=6,
                        segments=6)


PAIR = "<cls> a crane eats fish <sep> the crane flies <sep>".split()


def _fine_tuning(words: list[str], answers: list[str], head: str,
                 first: int = 0, segments: int | None = None) -> Figure:
    """A text, BERT, a new head on the vectors from `first`, the answers."""
    figure, axes = page(9, 4.3)
    step = min(0.84, 8.6 / len(words))
    xs = [4.5 + step * (i - (len(words) - 1) / 2) for i in range(len(words))]
    used = range(first, first + len(answers))
    colors = [GREEN if i < (segments or len(words)) else PINK
              for i in range(len(words))]
    row(axes, xs, 0.35, words, colors, width=step - 0.08, family=MONO)
    box(axes, 4.5, 1.3, "BERT, pretrained", BLUE, xs[-1] - xs[0] + 0.76, 0.8,
        fontsize=13)
    for i, x in enumerate(xs):
        arrow(axes, (x, 0.56), (x, 0.88))
        arrow(axes, (x, 1.72), (x, 1.98))
        box(axes, x, 2.12, color=BLUE if i in used else PALE, width=0.5,
            height=0.24)
    left, right = xs[used[0]], xs[used[-1]]
    width = max(right - left + 0.76, 2.1)
    middle = max((left + right) / 2, xs[0] - 0.38 + width / 2)
    box(axes, middle, 2.95, f"new: {head}", RED, width, 0.46)
    for i, answer in zip(used, answers):
        arrow(axes, (xs[i], 2.26), (xs[i], 2.7), color=RED)
        if answer:
            arrow(axes, (xs[i], 3.2), (xs[i], 3.5), color=RED)
            shift = 0 if len(answers) > 1 else 0.35
            box(axes, xs[i] + shift, 3.76, answer, RED,
                1.46 if shift else 0.8, 0.48)
    return figure
