"""Next-sentence pairs, truncation, masking and batches."""

import numpy as np
import pytest

from d2lbert.data.batches import (
    PretrainingBatches,
    bucketed,
    random_batch,
    take,
    trim,
)
from d2lbert.data.pretraining import (
    RESERVED_TOKENS,
    get_tokens_and_segments,
    index_sentences,
    join_pairs,
    mask_tokens,
    next_sentence_pairs,
    ordinary_words,
    truncate_pairs,
)
from d2lbert.data.vocab import Vocab

WORDS = [f"w{i}" for i in range(60)]


def corpus(num_paragraphs=40, seed=0, low=1, high=12):
    rng = np.random.default_rng(seed)
    return [[[WORDS[w] for w in rng.integers(60, size=rng.integers(low, high))]
             for _ in range(rng.integers(2, 6))]
            for _ in range(num_paragraphs)]


@pytest.fixture
def vocab():
    return Vocab(WORDS, reserved_tokens=RESERVED_TOKENS)


@pytest.fixture
def batches(vocab):
    def make(paragraphs=None, batch_size=16, max_len=24, **options):
        return PretrainingBatches(
            paragraphs or corpus(), vocab, batch_size, max_len, **options)
    return make


def words_of(sentences, s):
    start = sentences.start[s]
    return sentences.tokens[start:start + sentences.length[s]].tolist()


def test_sentences_as_arrays_read_back(vocab):
    paragraphs = corpus(5)
    sentences = index_sentences(paragraphs, vocab)
    flat = [vocab[s] for p in paragraphs for s in p]
    assert [words_of(sentences, s) for s in range(len(flat))] == flat


def test_empty_sentences_and_lonely_ones_are_passed_over(vocab):
    sentences = index_sentences(
        [[["w1"], [], ["w2"]], [["w3"], []], [["w4"], ["w5"]]], vocab)
    assert sentences.length.tolist() == [1, 1, 1, 1]
    assert sentences.size.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("paragraphs", [[], [[[]]], [[["w1"], ["w2"]]]])
def test_a_corpus_without_two_paragraphs_is_an_error(vocab, paragraphs):
    with pytest.raises(ValueError, match="at least two"):
        index_sentences(paragraphs, vocab)


@pytest.mark.parametrize("paragraphs", [
    [["w1 w2", "w3"], ["w4", "w5"]], ["w1 w2", "w3 w4"]])
def test_a_sentence_that_is_a_str_is_an_error(vocab, paragraphs):
    with pytest.raises(ValueError, match="'w1 w2', not a list of tokens"):
        index_sentences(paragraphs, vocab)


def test_false_next_sentences_come_from_other_paragraphs(vocab):
    sentences = index_sentences(corpus(4), vocab)
    falses = 0
    for seed in range(200):
        a, b, is_next = next_sentence_pairs(
            sentences, np.random.default_rng(seed))
        assert (b[is_next] == a[is_next] + 1).all()
        assert (sentences.first[a[is_next]]
                == sentences.first[b[is_next]]).all()  # no wrap-around
        assert (sentences.first[a[~is_next]]
                != sentences.first[b[~is_next]]).all()
        falses += (~is_next).sum()
    share = falses / (200 * len(a))
    assert 0.45 < share < 0.55


def test_false_next_sentence_never_has_the_true_words(vocab):
    # The second sentence is the same everywhere: d2l would draw it.
    paragraphs = [[[f"w{i}"], ["w50", "w51"], [f"w{i + 20}"]]
                  for i in range(6)]
    sentences = index_sentences(paragraphs, vocab)
    for seed in range(50):
        a, b, is_next = next_sentence_pairs(
            sentences, np.random.default_rng(seed))
        a, b = a[~is_next], b[~is_next]
        assert (sentences.text[b] != sentences.text[a + 1]).all()
        assert (sentences.text[b] != sentences.text[a]).all()


def test_a_corpus_of_one_repeated_sentence_is_an_error(vocab):
    sentences = index_sentences([[["w1"], ["w1"]]] * 3, vocab)
    with pytest.raises(ValueError, match="no false next"):
        for seed in range(20):
            next_sentence_pairs(sentences, np.random.default_rng(seed))


def test_truncation_takes_from_the_longer_sentence():
    def slow(a, b, max_len):
        while a + b > max_len - 3:
            a, b = (a - 1, b) if a > b else (a, b - 1)
        return a, b

    a, b = map(np.ravel, np.meshgrid(np.arange(1, 15), np.arange(1, 15)))
    for max_len in range(5, 24):
        fast = np.stack(truncate_pairs(a, b, max_len), 1)
        assert fast.tolist() == [list(slow(x, y, max_len))
                                 for x, y in zip(a, b)]
    with pytest.raises(ValueError, match="at least 5"):
        truncate_pairs(a, b, 4)


@pytest.mark.parametrize("max_len", [5, 8, 13, 40])
def test_joined_pairs_equal_tokens_and_segments(vocab, max_len):
    sentences = index_sentences(corpus(10), vocab)
    a, b, _ = next_sentence_pairs(sentences, np.random.default_rng(0))
    len_a, len_b = truncate_pairs(
        sentences.length[a], sentences.length[b], max_len)
    tokens, segments, valid_lens = join_pairs(sentences, a, b, max_len, vocab)
    for i in range(len(a)):
        words, ids = get_tokens_and_segments(
            vocab.to_tokens(words_of(sentences, a[i])[:len_a[i]]),
            vocab.to_tokens(words_of(sentences, b[i])[:len_b[i]]))
        padding = max_len - len(words)
        assert valid_lens[i] == len(words)
        assert tokens[i].tolist() == vocab[words + ["<pad>"] * padding]
        assert segments[i].tolist() == ids + [0] * padding


def masked(vocab, seed=0, max_len=24, num_paragraphs=600):
    sentences = index_sentences(corpus(num_paragraphs), vocab)
    rng = np.random.default_rng(seed)
    a, b, _ = next_sentence_pairs(sentences, rng)
    tokens, _, valid_lens = join_pairs(sentences, a, b, max_len, vocab)
    return tokens, valid_lens, *mask_tokens(
        tokens, valid_lens, vocab, ordinary_words(vocab), rng)


def test_fifteen_percent_are_chosen_and_never_a_special_token(vocab):
    before, valid_lens, after, positions, weights, labels = masked(vocab)
    used = weights == 1
    assert set(np.unique(weights)) == {0, 1}
    assert (used.sum(1) == np.maximum(1, np.round(0.15 * valid_lens))).all()
    assert positions.shape == (len(before), round(0.15 * 24))
    original = np.take_along_axis(before, positions, axis=1)
    assert (labels[used] == original[used]).all()
    assert not np.isin(labels[used], vocab[list(RESERVED_TOKENS)]).any()
    assert (labels[~used] == 0).all() and (positions[~used] == 0).all()
    for row, use in zip(positions, used):
        assert len(set(row[use])) == use.sum()  # no position twice
        assert (np.diff(row[use]) > 0).all()
    untouched = np.ones_like(before, bool)
    np.put_along_axis(untouched, positions, False, axis=1)
    assert (before[untouched] == after[untouched]).all()


def test_the_80_10_10_split(vocab):
    before, _, after, positions, weights, labels = masked(vocab)
    used = weights == 1
    now = np.take_along_axis(after, positions, axis=1)[used]
    is_mask = now == vocab["<mask>"]
    kept = now == labels[used]
    others = now[~is_mask & ~kept]
    n = used.sum()
    assert n > 3000
    assert is_mask.mean() == pytest.approx(0.8, abs=0.03)
    # One random word in 60 is the word itself.
    assert kept.mean() == pytest.approx(0.1 + 0.1 / 60, abs=0.02)
    assert len(others) / n == pytest.approx(0.1, abs=0.02)
    assert np.isin(others, ordinary_words(vocab)).all()
    assert not np.isin(0, ordinary_words(vocab))


def test_every_position_is_chosen_alike(vocab):
    before, valid_lens, _, positions, weights, _ = masked(vocab)
    words = ~np.isin(before, vocab[list(RESERVED_TOKENS)])
    rate = np.array([((positions == c) & (weights == 1)).sum()
                     / max(1, words[:, c].sum()) for c in range(1, 12)])
    assert rate.min() > 0.6 * rate.mean() and rate.max() < 1.5 * rate.mean()


def test_a_vocabulary_without_words_is_an_error():
    with pytest.raises(ValueError, match="holds no word"):
        ordinary_words(Vocab(reserved_tokens=RESERVED_TOKENS))


def test_documented_shapes_and_types(batches):
    X, segments, lens, positions, weights, Y, nsp = next(iter(
        batches(corpus(300), batch_size=512, max_len=64)))
    assert X.shape == segments.shape == (512, 64) and lens.shape == (512,)
    assert positions.shape == weights.shape == Y.shape == (512, 10)
    assert nsp.shape == (512,) and set(nsp) == {0, 1}


def test_same_seed_same_bytes_and_a_second_epoch_differs(batches):
    first, second = batches(seed=3), batches(seed=3)
    for one, two in zip(take(first, 20), take(second, 20)):
        assert all((x == y).all() for x, y in zip(one, two))
    again, other = batches(seed=3), batches(seed=4)
    epoch1, epoch2, epoch_other = map(list, (again, again, other))
    assert not np.array_equal(epoch1[0][0], epoch2[0][0])
    assert not np.array_equal(epoch1[0][0], epoch_other[0][0])


def test_masks_are_drawn_afresh(batches):
    it = batches(batch_size=100)
    masks = [sorted((row[0].tobytes(), row[1].tobytes())
                    for row in zip(batch[3], batch[4]))
             for batch in (next(iter(it)), next(iter(it)))]
    assert masks[0] != masks[1]


def test_len_counts_the_batches(batches):
    for is_train in (True, False):
        it = batches(is_train=is_train)
        sizes = [len(batch[0]) for batch in it]
        assert len(it) == len(sizes)
        assert sum(sizes) == (it.num_examples if not is_train
                              else 16 * (it.num_examples // 16))
    with pytest.warns(UserWarning, match="batch_size is 512, .* only 5 exam"):
        tiny = batches(corpus(2), batch_size=512)
    assert len(tiny) == 1 and len(list(tiny)) == 1


def test_held_out_epochs_are_equal(batches):
    it = batches(is_train=False)
    for one, two in zip(it, it):
        assert all((x == y).all() for x, y in zip(one, two))


def test_buckets_hold_similar_lengths_and_every_example_once():
    lengths = np.random.default_rng(0).integers(5, 64, size=1003)
    buckets = bucketed(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(buckets)) == list(range(1003))
    assert [len(b) for b in buckets[:-1]] == [16] * 62
    assert np.mean([np.ptp(lengths[b]) for b in buckets[:-1]]) < 6
    rests = [bucketed(lengths, 16, np.random.default_rng(seed))[-1]
             for seed in range(20)]  # not the longest every time
    assert np.ptp(lengths[np.concatenate(rests)]) > 0.9 * np.ptp(lengths)


def test_a_pool_of_one_batch_is_no_sorting():
    lengths = np.random.default_rng(0).integers(5, 64, size=1003)
    spread = [np.mean([np.ptp(lengths[b]) for b in bucketed(
        lengths, 16, np.random.default_rng(1), pool)[:-1]])
        for pool in (1, 4, 1000)]
    assert spread[0] > 40 > spread[1] > spread[2]


def test_trimming_drops_only_padding(batches):
    for batch in batches(max_len=64):
        short = trim(batch)
        assert short[0].shape[1] in (16, 32, 48, 64)
        assert short[0].shape[1] >= batch[2].max()
        assert short[4].sum() == batch[4].sum()
        assert (batch[0][:, short[0].shape[1]:]
                == batch[0][:, -1:]).all() or short[0].shape[1] == 64


def test_wrong_sizes_and_an_empty_iterator_are_errors(batches):
    with pytest.raises(ValueError, match="max_len is 4"):
        batches(max_len=4)
    with pytest.raises(ValueError, match="batch_size is 0"):
        batches(batch_size=0)
    with pytest.raises(ValueError, match="no batch"):
        next(take([], 1))


def test_a_random_batch_is_like_those_of_a_corpus(batches):
    """Without padding: a slot names a word of its row, and none twice."""
    batch = random_batch(60, 16, 24)
    tokens, segments, valid_lens, positions, weights, labels, is_next = batch
    assert [(x.dtype, x.shape) for x in batch] == [
        (x.dtype, x.shape) for x in next(iter(batches()))]
    assert 5 <= tokens.min() and tokens.max() < 60 and (valid_lens == 24).all()
    assert segments[0].tolist() == [0] * 12 + [1] * 12
    assert (weights == 1).all() and set(is_next.tolist()) == {0, 1}
    assert (labels == np.take_along_axis(tokens, positions, 1)).all()
    assert all(len(set(row)) == len(row) and 0 not in row
               for row in positions.tolist())
