"""The names that every backend re-exports: `from d2lbert import torch as d2l`.
"""

from d2lbert.batches import get_dataloader_workers
from d2lbert.checkpoint import (
    bert_shapes, classifier_shapes, initial_params, load_params, save_params)
from d2lbert.checks import CheckpointError
from d2lbert.config import BertConfig, num_parameters
from d2lbert.corpora import load_corpus
from d2lbert.hub import (
    DATA_HUB, DATA_URL, download, download_extract)
from d2lbert.nli import PairBatches
from d2lbert.original import to_bert_batch
from d2lbert.plotting import Accumulator, Animator, Timer
from d2lbert.pretraining import get_tokens_and_segments
from d2lbert.sentiment import load_data_sst2
from d2lbert.snli import LABELS, nli_folder, read_snli
from d2lbert.tokenizer import BertTokenizer
from d2lbert.vocab import Vocab, tokenize, unigram_entropy
