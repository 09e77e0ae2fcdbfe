"""Compare the making of WikiText-2's examples with d2l 1.0.3's.

    .venv/bin/python bench/examples.py

An epoch of pretraining examples is made of the text, once as it is and here
also of 4 and 16 times as much. Seconds count from the text in memory to the
last batch; memory is what the process takes at its peak beyond the text.
"""

from turns import check_d2l, data_folder, run_worker

TIMES = (1, 4, 16)


def main():
    check_d2l()
    folder = data_folder("wikitext-2")
    print("| | text | seconds | peak memory, MB |\n| --- | --- | --- | --- |")
    show("d2l 1.0.3", 1, run_worker("d2l_examples.py", folder))
    for times in TIMES:
        show("d2lbert", times, run_worker("ours_examples.py", times))


def show(name, times, report):
    """Print a row of the table."""
    print(f"| {name} | {times} × | {report['seconds']:.1f} | "
          f"{report['megabytes']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
