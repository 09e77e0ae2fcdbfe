"""The names that every backend re-exports: `from d2lbert import torch as d2l`.
"""

from d2lbert.checkpoints.d2l import bert_shapes, classifier_shapes
from d2lbert.checkpoints.params import initial_params, load_params, save_params
from d2lbert.checks import CheckpointError
from d2lbert.data.batches import (
    PretrainingBatches,
    bucketed,
    corpus_vocab,
    get_dataloader_workers,
    random_batch,
    trim,
)
from d2lbert.data.corpora import load_corpus
from d2lbert.data.counting import (
    Neighbours,
    naive_bayes,
    pmi_features,
    word_pmi,
)
from d2lbert.data.hub import DATA_HUB, DATA_URL, download, download_extract
from d2lbert.data.mini.nli import mini_nli, senses as nli_senses
from d2lbert.data.mini.probe import (
    context_probe,
    few_known,
    naive_bayes_sense,
    nearest_sense,
)
from d2lbert.data.mini.sentences import lookalikes, news, real_homographs
from d2lbert.data.mini.sentiment import opinion_pairs
from d2lbert.data.mini.wiki import (
    facts,
    homographs,
    mini_wiki,
    sense_sentences,
)
from d2lbert.data.ngrams import (
    last_clause,
    logistic_regression,
    ngram_accuracy,
    ngram_evidence,
    ngrams,
)
from d2lbert.data.pairs import PairBatches, truncate_pad
from d2lbert.data.pretraining import (
    RESERVED_TOKENS,
    get_tokens_and_segments,
    index_sentences,
    join_pairs,
    mask_tokens,
    next_sentence_pairs,
    ordinary_words,
    pad_inputs,
    truncate_pairs,
)
from d2lbert.data.sentiment import read_sst2, sentiment_folder
from d2lbert.data.snli import LABELS, nli_folder, read_snli
from d2lbert.data.subwords import (
    apply_merges,
    character_ngrams,
    count_pairs,
    get_max_freq_pair,
    greedy_wordpiece,
    merge_symbols,
    ngram_bucket,
    segment_BPE,
)
from d2lbert.data.vocab import Vocab, tokenize, unigram_entropy
from d2lbert.original.config import BertConfig, num_parameters
from d2lbert.original.find import find_checkpoint
from d2lbert.original.huggingface import read_weights
from d2lbert.original.outputs import to_bert_batch
from d2lbert.original.tiny_checkpoint import (
    find_tiny_checkpoint,
    make_tiny_checkpoint,
)
from d2lbert.original.tokenizer import BertTokenizer
from d2lbert.training.costs import all_reduce_bytes, step_flops
from d2lbert.training.plotting import Accumulator, Animator, Timer
from d2lbert.training.recorded import recorded_run
from d2lbert.training.schedules import rates
