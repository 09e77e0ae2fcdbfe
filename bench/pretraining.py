"""Compare the speed of BERT pretraining with d2l 1.0.3 and transformers.

    .venv/bin/python bench/pretraining.py --rounds 3 --steps 20

On WikiText-2 with batches of 512 pairs of at most 64 tokens, the libraries
take turns. A ratio is taken in every round and the median is reported.
"""

from turns import arguments, check_d2l, compare, data_folder

MIN_STEPS = 8  # the first step of each batch shape is not counted


def main():
    args = arguments(__doc__, MIN_STEPS)
    check_d2l()
    folder = data_folder("wikitext-2")
    compare(args, "pairs_per_sec", ours=["ours_pretraining.py"],
            rivals={"d2l": ["d2l_pretraining.py", folder],
                    "transformers": ["transformers_pretraining.py"]})


if __name__ == "__main__":
    main()
