"""From a corpus to a backend's batches, one way for all corpora.

Batches are made in NumPy. What makes tensors of them, of a tuple or a dict
of arrays, is all that a backend says: it is the first argument of each
loader, and each backend's `data.py` gives it.
"""

from pathlib import Path

from d2lbert.data.batches import AsTensors, PretrainingBatches, corpus_vocab
from d2lbert.data.corpora import load_corpus
from d2lbert.data.pairs import (
    PairBatches,
    SNLIBERTDataset,
    SNLIDataset,
    pairs_vocab,
)
from d2lbert.data.sentiment import (
    SentimentDataset,
    Tokenizer,
    is_labelled,
    read_sst2,
    sentiment_folder,
)
from d2lbert.data.shards import (
    HELD_OUT,
    ShardBatches,
    ShardFolder,
    is_folder,
    open_shards,
)
from d2lbert.data.snli import SPLITS, nli_folder, read_snli
from d2lbert.data.vocab import Vocab


def load_data_wiki(to_tensors: AsTensors, batch_size: int, max_len: int,
                   corpus: str | Path = "wikitext-2", seed: int = 0,
                   order: str = "frequency"
                   ) -> tuple[PretrainingBatches | ShardBatches, Vocab]:
    """Load a corpus for pretraining (d2l 15.9.2).

    Args:
        corpus: 'wikitext-2', 'mini-wiki' (bundled) or a path to a text
            with a paragraph a line (`load_corpus`), or to a folder of
            shards (`d2lbert.data.shards`), which need not fit into memory
            and has its own vocabulary.
        seed: fixes pairs, masks and order, epoch by epoch.
        order: of the words' ids; 'd2l' for the ids of d2l (`Vocab`).

    Returns:
        train_iter, an iterable of 7-tuples of tensors (see
        `d2lbert.data.batches`), and the vocabulary.
    """
    if is_folder(corpus):
        shards = _open(corpus, order)
        return ShardBatches(shards, batch_size, max_len, seed,
                            as_tensors=to_tensors), shards.vocab
    texts = load_corpus(corpus)
    vocab = corpus_vocab(texts, order)
    return PretrainingBatches(
        texts.train, vocab, batch_size, max_len, seed,
        as_tensors=to_tensors), vocab


def load_held_out_wiki(to_tensors: AsTensors, batch_size: int, max_len: int,
                       corpus: str | Path = "wikitext-2", seed: int = 0,
                       order: str = "frequency"
                       ) -> PretrainingBatches | ShardBatches:
    """The held-out paragraphs of a corpus, the same epoch each time.

    Numbered with the vocabulary of `load_data_wiki` of the same order.
    """
    if is_folder(corpus):
        return ShardBatches(_open(corpus, order), batch_size, max_len, seed,
                            HELD_OUT, to_tensors)
    texts = load_corpus(corpus)
    return PretrainingBatches(
        texts.held_out, corpus_vocab(texts, order), batch_size, max_len, seed,
        is_train=False, as_tensors=to_tensors)


def _open(corpus: str | Path, order: str) -> ShardFolder:
    if order != "frequency":
        raise ValueError(f"the words of {corpus} are numbered in the order "
                         f"'frequency', not {order!r}: load the text itself "
                         "for another one")
    return open_shards(corpus)


def load_data_snli(to_tensors: AsTensors, batch_size: int, num_steps: int = 50,
                   corpus: str | Path = "snli", seed: int = 0,
                   order: str = "frequency"
                   ) -> tuple[PairBatches, PairBatches, Vocab]:
    """Load pairs as two sentences each (d2l 16.4.2).

    Args:
        corpus: as in `nli_folder`.
        order: of the words' ids; 'd2l' for the ids of d2l (`Vocab`).

    Returns:
        train_iter, test_iter, the batches ((premises, hypotheses),
        labels), and the vocabulary of the training pairs.
    """
    folder = nli_folder(corpus)
    pairs = read_snli(folder, True)
    train = SNLIDataset(pairs, num_steps, pairs_vocab(pairs, order),
                        to_tensors)
    test = SNLIDataset(read_snli(folder, False), num_steps, train.vocab,
                       to_tensors)
    return (PairBatches(train, batch_size, seed),
            PairBatches(test, batch_size, is_train=False), train.vocab)


def load_data_snli_bert(to_tensors: AsTensors, batch_size: int, max_len: int,
                        vocab: Vocab, corpus: str | Path = "snli",
                        seed: int = 0) -> tuple[PairBatches, ...]:
    """Load pairs as BERT's inputs, numbered with its vocabulary.

    Args:
        corpus: as in `nli_folder`.

    Returns:
        train_iter, dev_iter, test_iter: the batches ((tokens, segments,
        valid_lens), labels) of a `PairBatches` each.
    """
    folder = nli_folder(corpus)
    return tuple(
        PairBatches(
            SNLIBERTDataset(read_snli(folder, split=split), max_len,
                            vocab, to_tensors),
            batch_size, seed, is_train=split == "train")
        for split in SPLITS)


def load_data_sst2(to_tensors: AsTensors, batch_size: int,
                   tokenizer: Tokenizer,
                   corpus: str | Path = "mini-sentiment",
                   max_length: int = 128, seed: int = 0
                   ) -> tuple[PairBatches | None, ...]:
    """Load labelled sentences as the original BERT's inputs.

    Args:
        tokenizer: a `BertTokenizer`.
        corpus: as in `sentiment_folder`.
        max_length: longer sentences are cut, in tokens.

    Returns:
        Training, dev and test batches, a `PairBatches` of dicts each (see
        `SentimentDataset`); None for test if test.tsv is missing or has
        no labels, as GLUE's.
    """
    def batches(split: str) -> PairBatches:
        sentences, labels = read_sst2(folder / f"{split}.tsv")
        dataset = SentimentDataset(
            sentences, labels, tokenizer, max_length, to_tensors)
        return PairBatches(dataset, batch_size, seed, split == "train")

    folder = sentiment_folder(corpus)
    test = batches("test") if is_labelled(folder / "test.tsv") else None
    return batches("train"), batches("dev"), test


def load_data_nli(to_tensors: AsTensors, batch_size: int,
                  tokenizer: Tokenizer, corpus: str | Path = "mini-nli",
                  max_length: int = 128, seed: int = 0
                  ) -> tuple[PairBatches, ...]:
    """Load pairs of sentences as the original BERT's inputs.

    Args:
        tokenizer: a `BertTokenizer`.
        corpus: as in `nli_folder`.
        max_length: longer pairs are cut, in tokens, the longer sentence
            first.

    Returns:
        Training, dev and test batches, a `PairBatches` of dicts each (see
        `SentimentDataset`); a label is the place of its name in LABELS.
    """
    folder = nli_folder(corpus)

    def batches(split: str) -> PairBatches:
        premises, hypotheses, labels = read_snli(folder, split=split)
        dataset = SentimentDataset(premises, labels, tokenizer, max_length,
                                   to_tensors, hypotheses)
        return PairBatches(dataset, batch_size, seed, split == "train")

    return tuple(map(batches, SPLITS))
