"""The drawings in notebooks/img, as SVG that is the same at every drawing."""

import io
from pathlib import Path

from matplotlib import rc_context

from d2lbert.book.figures import bert, finetuning
from d2lbert.book.figures.context import elmo_gpt_bert
from d2lbert.book.figures.drawing import STYLE
from d2lbert.book.figures.original import bert_original
from d2lbert.book.figures.scaling import data_parallel
from d2lbert.book.figures.subwords import SUBWORD_FIGURES
from d2lbert.files import write_whole

FIGURES = {"elmo-gpt-bert.svg": elmo_gpt_bert,
           "bert-input.svg": bert.bert_input,
           "bert-tasks.svg": bert.bert_tasks,
           "bert-masking.svg": bert.bert_masking,
           "bert-block.svg": bert.bert_block,
           "text-to-batch.svg": bert.text_to_batch,
           "finetune-single.svg": finetuning.finetune_single,
           "finetune-pair.svg": finetuning.finetune_pair,
           "finetune-regression.svg": finetuning.finetune_regression,
           "finetune-tagging.svg": finetuning.finetune_tagging,
           "finetune-qa.svg": finetuning.finetune_qa,
           "bert-original.svg": bert_original,
           "data-parallel.svg": data_parallel, **SUBWORD_FIGURES}


def draw(name: str) -> bytes:
    """The SVG of a figure."""
    file = io.BytesIO()
    with rc_context(STYLE):
        FIGURES[name]().savefig(file, format="svg", facecolor="white",
                                metadata={"Date": None})
    return file.getvalue()


def draw_all(folder: str | Path) -> None:
    """Draw every figure into a folder, each whole or not at all."""
    for name in FIGURES:
        write_whole(Path(folder, name), draw(name))
