"""Compare the accuracy on SNLI with that of d2l 1.0.3 in equal minutes.

    .venv/bin/python bench/snli.py --minutes-pretrain 15 --minutes-finetune 5

One after the other, both libraries pretrain a BERT of 128 hidden units and
two blocks on WikiText-2 and fine-tune it on SNLI's training pairs, in PyTorch,
each by its own recipe. Each trains for the minutes; loading and evaluation
are left out. The masked-LM losses are not comparable: d2l's counts the slots
that only pad a batch.
"""

import argparse

from turns import check_d2l, data_folder, run_worker

ROWS = {  # name in the table: (name in the report, format)
    "pretraining, minutes": ("pretrain_seconds", "minutes"),
    "steps": ("pretrain_steps", "d"),
    "masked-LM loss, last tenth": ("mlm", ".3f"),
    "next-sentence loss, last tenth": ("nsp", ".3f"),
    "fine-tuning, minutes": ("finetune_seconds", "minutes"),
    "steps of fine-tuning": ("finetune_steps", "d"),
    "training accuracy, end": ("train_acc", ".3f"),
    "dev accuracy": ("dev_acc", ".4f"),
    "test accuracy": ("test_acc", ".4f"),
}


def table(reports):
    """{library: report} as lines of a Markdown table."""
    yield f"| | {' | '.join(reports)} |"
    yield "|---" * (len(reports) + 1) + "|"
    for name, (key, style) in ROWS.items():
        cells = [cell(report[key], style) for report in reports.values()]
        yield f"| {name} | {' | '.join(cells)} |"


def cell(value, style):
    """A number of a report; seconds as minutes where the style asks it."""
    return f"{value / 60:.1f}" if style == "minutes" else f"{value:{style}}"


def positive(text):
    """An argparse type: a number above 0."""
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return float(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes-pretrain", type=positive, default=15.0)
    parser.add_argument("--minutes-finetune", type=positive, default=5.0)
    parser.add_argument("--lr", type=positive,
                        help="d2l's rate of fine-tuning; default the book's")
    args = parser.parse_args()
    check_d2l()
    folders = data_folder("wikitext-2"), data_folder("SNLI")
    minutes = ("--minutes-pretrain", args.minutes_pretrain,
               "--minutes-finetune", args.minutes_finetune)
    rate = ("--lr", args.lr) if args.lr else ()
    reports = {
        "d2lbert": run_worker("ours_snli.py", *minutes),
        "d2l 1.0.3": run_worker("d2l_snli.py", *folders, *minutes, *rate)}
    print(*table(reports), sep="\n")


if __name__ == "__main__":
    main()
