"""Words in pieces: BPE, WordPiece, and the tokenizer of the original BERT."""

import functools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from d2lbert.checks import CheckpointError
from d2lbert.data.batches import PretrainingBatches
from d2lbert.data.corpora import load_corpus
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
from d2lbert.original.tokenizer import SPECIAL_TOKENS, BertTokenizer

REAL = Path(os.environ.get("D2LBERT_DATA", ""), "bert-base-uncased-vocab.txt")
PIECES = [*SPECIAL_TOKENS, *"acehnr", "##a", "##e", "##n", "##r", "crane"]
RAW = {"fast_": 4, "faster_": 3, "tall_": 5, "taller_": 4}  # d2l 15.6.2
LETTERS = "abcdefghijklmnopqrstuvwxyz"


# n-grams of fastText

def test_ngrams_are_those_of_the_paper():
    # Bojanowski et al. (2017), 3.2, with n = 3
    assert character_ngrams("where", 3, 3) == [
        "<wh", "whe", "her", "ere", "re>", "<where>"]
    grams = character_ngrams("where")
    assert grams[:5] == ["<wh", "whe", "her", "ere", "re>"]
    assert grams[-3:] == ["<where", "where>", "<where>"]
    assert len(grams) == 5 + 4 + 3 + 2 + 1


@pytest.mark.parametrize("word, grams", [
    ("a", ["<a>"]), ("ab", ["<ab", "ab>", "<ab>"]),
    ("her", ["<he", "her", "er>", "<her", "her>", "<her>"]),
    ("aaaa", ["<aa", "aaa", "aa>", "<aaa", "aaaa", "aaa>", "<aaaa", "aaaa>",
              "<aaaa>"])])
def test_ngrams_of_short_words_are_listed_once(word, grams):
    assert character_ngrams(word) == grams


def test_an_empty_word_has_no_ngrams():
    with pytest.raises(ValueError, match="the word is empty"):
        character_ngrams("")


@pytest.mark.parametrize("text, value", [  # the values of FNV's authors
    ("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_buckets_come_from_fnv_1a(text, value):
    assert ngram_bucket(text, 2**32) == value
    assert ngram_bucket(text, 1000) == value % 1000


# Byte pair encoding

def test_ten_merges_are_those_of_d2l():
    symbols = [*LETTERS, "_", "[UNK]"]
    freqs = {" ".join(word): count for word, count in RAW.items()}
    pairs = []
    for _ in range(10):
        pairs.append(get_max_freq_pair(freqs))
        freqs = merge_symbols(pairs[-1], freqs, symbols)
    assert pairs == [
        ("t", "a"), ("ta", "l"), ("tal", "l"), ("f", "a"), ("fa", "s"),
        ("fas", "t"), ("e", "r"), ("er", "_"), ("tall", "_"), ("fast", "_")]
    assert symbols[28:] == ["ta", "tal", "tall", "fa", "fas", "fast", "er",
                            "er_", "tall_", "fast_"]
    assert freqs == {"fast_": 4, "fast er_": 3, "tall_": 5, "tall er_": 4}
    assert segment_BPE(["tallest_", "fatter_"], symbols) == [
        "tall e s t _", "fa t t er_"]


def test_pairs_are_counted_with_their_words():
    assert get_max_freq_pair({"a b c": 2, "b c": 3, "a b": 2}) == ("b", "c")
    assert get_max_freq_pair({"a a a": 1, "b a": 1}) == ("a", "a")
    assert count_pairs({"a b c": 2, "b c": 3, "c": 9}) == {
        ("a", "b"): 2, ("b", "c"): 5}


@pytest.mark.parametrize("word, merged", [
    ("aa b", "aa b"), ("a bb", "a bb"), ("a b b", "ab b"),
    ("b a b a", "b ab a"), ("a b a b", "ab ab")])
def test_whole_symbols_are_merged(word, merged):
    symbols = ["a", "b"]
    freqs = {word: 3, "a b": 1}
    assert merge_symbols(("a", "b"), freqs, symbols) == {merged: 3, "ab": 1}
    assert symbols == ["a", "b", "ab"] and freqs == {word: 3, "a b": 1}


def test_equal_symbols_are_merged_from_the_left():
    assert merge_symbols(("a", "a"), {"a a a": 1}, []) == {"aa a": 1}


def test_what_no_symbol_fits_is_unknown():
    assert segment_BPE(["ab", "aé", "éa"], ["a", "b"]) == [
        "a b", "a [UNK]", "[UNK]"]
    assert segment_BPE([], ["a"]) == []


def learned(words, num_merges):
    """Merges and the words as they leave them: {"fast er_": 3, …}."""
    freqs = {" ".join(word): count for word, count in words.items()}
    merges = []
    for _ in range(num_merges):
        merges.append(get_max_freq_pair(freqs))
        freqs = merge_symbols(merges[-1], freqs, [])
    return merges, freqs


def test_merges_are_applied_in_their_order():
    merges, freqs = learned(RAW, 10)
    symbols = {*LETTERS, "_", *map("".join, merges)}
    assert apply_merges([*RAW], merges) == [*freqs]
    # "all" is older than "fast": t belongs to it
    assert apply_merges(["fastall_"], merges) == ["fas tall_"]
    assert segment_BPE(["fastall_"], symbols) == ["fast a l l _"]
    assert apply_merges(["tallest_", "é"], merges) == ["tall e s t _", "é"]
    assert apply_merges([], merges) == [] and apply_merges(["ab"], []) == [
        "a b"]


def lowest_rank_first(word, merges):
    """How Sennrich's program does it: the oldest pair that is there."""
    symbols, rank = list(word), {pair: i for i, pair in enumerate(merges)}
    while known := [pair for pair in pairwise(symbols) if pair in rank]:
        first, merged = min(known, key=rank.get), []
        while symbols:
            size = 2 if tuple(symbols[:2]) == first else 1
            merged.append("".join(symbols[:size]))
            del symbols[:size]
        symbols = merged
    return " ".join(symbols)


def test_words_are_cut_as_they_were_in_training():
    counts = Counter(f"{w}_" for s in sentences() for w in s.split())
    merges, freqs = learned(counts, 300)
    assert apply_merges([*counts], merges) == [*freqs]
    others = [f"{word}_" for word in odd_words(400)]
    cut = apply_merges(others, merges)
    assert cut == [lowest_rank_first(word, merges) for word in others]
    # d2l's shortcut does not even keep the words of the training
    symbols = {*LETTERS, "_", *map("".join, merges)}
    same = np.mean(np.equal(segment_BPE([*counts], symbols), [*freqs]))
    assert 0.6 < same < 0.95


@pytest.mark.parametrize("tokens", ["fast_", ["a", ""]])
def test_no_words_to_merge_are_an_error(tokens):
    with pytest.raises(ValueError, match="give a list of words"):
        apply_merges(tokens, [("a", "b")])


@pytest.mark.parametrize("freqs", [{}, {"fast_": 4, "tall_": 5}])
def test_no_pair_to_merge_is_an_error(freqs):
    with pytest.raises(ValueError, match=f"no pair .* the {len(freqs)} wor"):
        get_max_freq_pair(freqs)
    symbols = ["a"]
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_symbols(("a", "b"), freqs, symbols)
    assert symbols == ["a"]


@pytest.mark.parametrize("tokens, symbols", [
    ("fast_", ["f"]), (["a", ""], ["a"]), (["a"], [])])
def test_nothing_to_segment_is_an_error(tokens, symbols):
    with pytest.raises(ValueError, match="list of words and symbols"):
        segment_BPE(tokens, symbols)


# WordPiece

def test_greedy_takes_the_longest_piece_first():
    vocab = {"un", "una", "##able", "##ble", "##a", "a", "##b"}
    assert greedy_wordpiece("unable", vocab) == ["una", "##ble"]
    assert greedy_wordpiece("unab", vocab) == ["una", "##b"]
    assert greedy_wordpiece("unc", vocab) == ["[UNK]"]  # not "un", "[UNK]"
    assert greedy_wordpiece("ble", vocab, unk="?") == ["?"]
    assert greedy_wordpiece("", vocab) == []


def test_a_word_of_more_than_a_hundred_characters_is_unknown(trained):
    for length in 100, 101:
        pieces = greedy_wordpiece("a" * length, trained.tokens)
        assert trained.tokenize("a" * length) == pieces
        assert (pieces == ["[UNK]"]) == (length == 101)
    assert greedy_wordpiece("aaa", {"a", "##a"}, max_chars=2) == ["[UNK]"]


def odd_words(num=4000):
    """Words of mini-wiki as they are, joined, cut, and with odd letters."""
    rng = random.Random(0)
    known = sorted({word for sentence in sentences() for word in
                    sentence.split() if word.isalpha()})
    made = []
    while len(made) < num:
        a, b = rng.choices(known, k=2)
        made += [a + b, a[:rng.randint(1, len(a))] + b[-3:], a[::-1],
                 a + rng.choice("ßøłβя") + b]
    return sorted({*known, *made})


@functools.cache
def sentences():
    return [" ".join(s) for paragraph in load_corpus("mini-wiki").train
            for s in paragraph]


@pytest.fixture(scope="module")
def trained():
    pytest.importorskip("tokenizers")
    return BertTokenizer.train(sentences()[:6000], 300)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    pytest.importorskip("tokenizers")
    if not REAL.is_file():
        pytest.skip("D2LBERT_DATA names no folder with the vocabulary")
    folder = tmp_path_factory.mktemp("bert-base-uncased")
    (folder / "vocab.txt").write_bytes(REAL.read_bytes())
    (folder / "config.json").write_text('{"vocab_size": 30522}')
    return BertTokenizer.from_pretrained(folder)


@pytest.fixture(params=["trained", "real"])
def tok(request):
    return request.getfixturevalue(request.param)


def test_greedy_is_what_the_library_does(tok):
    vocab = set(tok.tokens)
    words = odd_words()
    cut = [greedy_wordpiece(word, vocab) for word in words]
    assert [tok.tokenize(word) for word in words] == cut
    assert len(words) > 4000 and len({len(pieces) for pieces in cut}) > 4


def test_the_library_counts_pairs_as_bpe_does(trained):
    """Its WordPieces are BPE's symbols, where lower ids win a draw."""
    counts = Counter(w for s in sentences()[:6000] for w in s.split())
    words = {w: [w[0], *(f"##{c}" for c in w[1:])] for w in counts}
    letters = [t for t in trained.tokens if len(t.removeprefix("##")) == 1]
    ids = {t: i for i, t in enumerate([*SPECIAL_TOKENS, *letters])}
    while len(ids) < len(trained):
        pairs = count_pairs({" ".join(words[w]): counts[w] for w in words})
        first = max(pairs, key=lambda p: (pairs[p], -ids[p[0]], -ids[p[1]]))
        new = first[0] + first[1].removeprefix("##")
        ids[new] = len(ids)
        for pieces in words.values():
            for i in reversed(range(len(pieces) - 1)):
                if tuple(pieces[i:i + 2]) == first:
                    pieces[i:i + 2] = [new]
    assert [*ids] == trained.tokens


def test_the_real_vocabulary(real):
    assert len(real) == 30522 and real.lowercase
    assert [real.id(t) for t in SPECIAL_TOKENS] == [0, 100, 101, 102, 103]
    assert real.tokenize("Unbreakable Cranes") == [
        "un", "##break", "##able", "cranes"]


# The same as transformers

ODD_TEXTS = [
    "a crane is flying", "A Crane, Flying!", "", "naïve café über Ångström",
    "鶴は飛ぶ 一只鹤", "don't -- stop... (now) $5.00 a_b", "a\tb\nc\r\nd  e",
    "tab\x00ctrl\x07 zero\u200bwidth\ufeff nbsp\xa0x", "a 🦩 crane 👩‍🚀",
    "i like [MASK] .", "[CLS] a [SEP] b [PAD] [UNK]", "[mask] [ MASK ]",
    "x[MASK]y", "##able ## #", "ﬁne ½ ² ① İstanbul ẞ", "한국어 текст βιβλίο",
    "z" * 101 + " short", "e\u0301 \u0301", "<pad> <mask>", "word " * 40]


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def both(request, trained, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    tokens = trained.tokens
    if REAL.is_file():
        tokens = REAL.read_text("utf-8").splitlines()
    tokens = [*tokens, "Crane"]  # for the one that does not lowercase
    theirs = transformers.BertTokenizer(
        vocab={token: i for i, token in enumerate(tokens)},
        do_lower_case=request.param)
    return BertTokenizer(tokens, lowercase=request.param), theirs


def assert_same(ours, theirs):
    for key, array in ours.items():
        assert array.dtype == np.int32
        np.testing.assert_array_equal(array, theirs[key], key)


def test_texts_are_prepared_as_by_transformers(both):
    ours, theirs = both
    texts = [text for text in ODD_TEXTS if text]
    assert_same(ours(texts), theirs(texts, padding=True))
    for text in ODD_TEXTS:
        assert ours.tokenize(text) == theirs.tokenize(text)
        ids = theirs(text)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids)


def test_pairs_are_prepared_as_by_transformers(both):
    ours, theirs = both
    texts = [text for text in ODD_TEXTS if text]
    for shift in range(len(ODD_TEXTS)):
        pairs = (ODD_TEXTS[shift:] + ODD_TEXTS)[:len(texts)]
        assert_same(ours(texts, pairs), theirs(texts, pairs, padding=True))


def test_truncation_is_that_of_transformers(both):  # [22]
    ours, theirs = both
    texts = [text for text in ODD_TEXTS if text]
    for length in (5, 6, 9, 16, 17, 64):
        limit = {"truncation": "longest_first", "max_length": length}
        batch = ours(texts, max_length=length, truncate=True)
        assert_same(batch, theirs(texts, padding=True, **limit))
        assert_ends_in_sep(ours, batch)
        for pairs in (texts[3:] + texts[:3], texts[::-1]):
            batch = ours(texts, pairs, length, truncate=True)
            assert_same(batch, theirs(texts, pairs, padding=True, **limit))
            assert_ends_in_sep(ours, batch)
            # [CLS] and something of both, with a [SEP] each
            assert (batch["token_type_ids"].sum(1) >= 2).all()
            assert batch["input_ids"].shape[1] <= length
    assert len(ours("word " * 40)["input_ids"][0]) > 40  # no limit is left


def assert_ends_in_sep(tok, batch):
    last = batch["attention_mask"].sum(1) - 1
    rows = np.arange(len(last))
    assert (batch["input_ids"][rows, last] == tok.id("[SEP]")).all()


@pytest.mark.parametrize("lowercase", [True, False])
def test_folders_of_transformers_load_and_ours_load_there(
        lowercase, trained, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokens = [*trained.tokens, "Crane"]
    theirs = transformers.BertTokenizer(
        vocab={token: i for i, token in enumerate(tokens)},
        do_lower_case=lowercase)
    theirs.save_pretrained(tmp_path / "theirs")
    assert not (tmp_path / "theirs" / "vocab.txt").exists()
    ours = BertTokenizer.from_pretrained(tmp_path / "theirs")
    assert (ours.tokens, ours.lowercase) == (tokens, lowercase)
    ours.save(tmp_path / "ours")
    back = transformers.BertTokenizer.from_pretrained(tmp_path / "ours")
    assert_same(ours(["A Crane café"], ["[MASK]"]),
                back(["A Crane café"], ["[MASK]"]))


# The interface

def test_a_str_is_a_batch_of_one(trained):
    one, many = trained("a crane", "it"), trained(["a crane"], ["it"])
    for key in one:
        np.testing.assert_array_equal(one[key], many[key])
        assert one[key].shape == (1, one[key].size)


def test_ids_segments_and_padding():
    pytest.importorskip("tokenizers")
    tok = BertTokenizer(PIECES)
    batch = tok(["crane", "a crane"], ["care", "[MASK]"])
    pad, unk, cls, sep, mask = map(tok.id, SPECIAL_TOKENS)
    a, c, crane = map(tok.id, ("a", "c", "crane"))
    assert batch["input_ids"].tolist() == [
        [cls, crane, sep, c, *map(tok.id, ("##a", "##r", "##e")), sep],
        [cls, a, crane, sep, mask, sep, pad, pad]]
    assert batch["token_type_ids"].tolist() == [
        [0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1] * 8, [1] * 6 + [0] * 2]
    assert tok.decode(batch["input_ids"][0]) == "[CLS] crane [SEP] care [SEP]"
    assert tok.tokenize("xa ran") == ["[UNK]", "r", "##a", "##n"]


def test_save_and_load_again(trained, tmp_path):
    cased = BertTokenizer([*PIECES, "Crane"], lowercase=False)
    for tok in trained, cased:
        tok.save(tmp_path / "new" / "folder")
        again = BertTokenizer.from_pretrained(tmp_path / "new" / "folder")
        assert again.tokens == tok.tokens
        assert again.lowercase == tok.lowercase
    assert again.tokenize("Crane crane") == ["Crane", "crane"]
    assert {p.name for p in (tmp_path / "new" / "folder").iterdir()} == {
        "vocab.txt", "tokenizer_config.json"}


def test_a_vocabulary_of_the_course_for_pretraining(trained):
    vocab = trained.vocab
    assert len(vocab) == len(trained) and vocab.unk == trained.id("[UNK]")
    assert vocab[["<pad>", "<mask>", "<cls>", "<sep>", "<unk>"]] == [
        trained.id(f"[{name}]") for name in
        ("PAD", "MASK", "CLS", "SEP", "UNK")]
    assert vocab["##e"] == trained.id("##e")
    pieces = [list(map(trained.tokenize, sentences()[i:i + 2]))
              for i in range(0, 8, 2)]
    tokens, _, valid_lens, *_ = next(iter(
        PretrainingBatches(pieces, vocab, 4, 64)))
    ends = tokens[np.arange(4), valid_lens - 1]
    assert (ends == trained.id("[SEP]")).all()


def test_training_gives_the_same_vocabulary_each_time(trained):
    texts = sentences()[:200]
    made = {tuple(BertTokenizer.train(iter(texts), 90).tokens)
            for _ in range(4)}
    assert len(made) == 1
    (tokens,) = made
    assert tokens[:5] == SPECIAL_TOKENS and len(tokens) == 90
    assert len(trained) == 300 and "the" in trained.tokens


def test_min_frequency_and_lowercase_of_training():
    pytest.importorskip("tokenizers")
    texts = ["Ab Ab Cd"]
    assert BertTokenizer.train(texts, 99).tokens == [
        *SPECIAL_TOKENS, "##b", "##d", "a", "b", "c", "d", "ab"]
    cased = BertTokenizer.train(texts, 99, lowercase=False, min_frequency=1)
    assert set(cased.tokens) >= {"Ab", "Cd"} and not cased.lowercase


def test_old_files_keep_their_numbers(trained, tmp_path):
    tokens = [*PIECES, "\u2028", "\x85", "é"]  # no ends of lines, here
    for end, more in (("\n", ""), ("\n", "\n"), ("\r\n", ""),
                      ("\r\n", "\r\n\r\n")):
        text = end.join(tokens) + end + more
        (tmp_path / "vocab.txt").write_bytes(text.encode())
        assert BertTokenizer.from_pretrained(tmp_path).tokens == tokens


# What others have written

def write_vocab(folder, tokens, **files):
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def their_ids(folder, text):
    """What `transformers` makes of a text."""
    transformers = pytest.importorskip("transformers")
    return transformers.BertTokenizer.from_pretrained(
        str(folder))(text)["input_ids"]


@pytest.mark.parametrize("tokens", [
    [*PIECES[:7], "", *PIECES[7:]], [*PIECES, "a"], [*PIECES, "[SEP]", ""]])
def test_blank_and_double_lines_keep_the_numbers_of_the_others(
        tokens, tmp_path):
    tok = BertTokenizer.from_pretrained(write_vocab(tmp_path, tokens))
    text = "a crane ran [line 8] care"
    assert tok(text)["input_ids"][0].tolist() == their_ids(tmp_path, text)
    tok.save(tmp_path / "again")
    again = BertTokenizer.from_pretrained(tmp_path / "again")
    assert again.tokens == tok.tokens and len(again) == len(tok)


ADDED = {"[E1]": 16, "caner": 17, "X": 18}


def as_added_tokens(folder):
    return write_vocab(folder, PIECES, added_tokens=ADDED)


def as_settings(folder):
    return write_vocab(folder, PIECES, tokenizer_config={
        "added_tokens_decoder": {
            str(i): {"content": token, "special": token == "[E1]",
                     "normalized": token != "[E1]"}
            for token, i in ADDED.items()}})


def as_transformers_saves(folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertTokenizer.from_pretrained(
        str(write_vocab(folder, PIECES)))
    theirs.add_special_tokens({"additional_special_tokens": ["[E1]"]})
    theirs.add_tokens(["caner", "X"])
    theirs.save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("write", [
    as_added_tokens, as_settings, as_transformers_saves])
def test_added_tokens_are_whole(write, tmp_path):
    pytest.importorskip("tokenizers")
    folder = write(tmp_path)
    tok = BertTokenizer.from_pretrained(folder)
    text = "a[E1]crane caner x [MASK] CANER[E1]"
    ids = tok(text)["input_ids"][0].tolist()
    assert len(tok) == 19 and {16, 17, 18} <= set(ids)
    assert ids == their_ids(folder, text)
    tok.save(tmp_path / "ours")
    again = BertTokenizer.from_pretrained(tmp_path / "ours")
    assert again(text)["input_ids"][0].tolist() == ids
    assert their_ids(tmp_path / "ours", text) == ids


def test_an_added_token_with_the_id_of_another(tmp_path):
    write_vocab(tmp_path, PIECES, added_tokens={"new": 3})
    with pytest.raises(CheckpointError, match=r"id 3 to '\[SEP\]' and to"):
        BertTokenizer.from_pretrained(tmp_path)
    write_vocab(tmp_path, PIECES, added_tokens={"new": 18})
    with pytest.raises(CheckpointError, match="not numbered from 0 to 16"):
        BertTokenizer.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"added tokens \['new'\] have no id"):
        BertTokenizer(PIECES, added={"new": {}})


@pytest.mark.parametrize("files", [
    {"added_tokens": {"new": "x"}}, {"added_tokens": {"new": None}},
    {"tokenizer_config": {"added_tokens_decoder": {"x": {"content": "new"}}}},
    {"tokenizer_config": {"added_tokens_decoder": {"16": "new"}}},
    {"tokenizer_config": {"added_tokens_decoder": {"16": {}}}},
    {"tokenizer_config": {"added_tokens_decoder": ["new"]}},
    {"tokenizer_config": {"do_lower_case": "yes"}},
    {"tokenizer": {"model": 7}}, {"tokenizer": {"model": {"vocab": [1]}}}])
def test_files_that_transformers_does_not_make(files, tmp_path):
    write_vocab(tmp_path, PIECES, **files)
    with pytest.raises(CheckpointError, match="tokenizer"):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("name, known", [
    ("BertTokenizer", True), ("BertTokenizerFast", True), (None, True),
    ("DistilBertTokenizer", True), ("BertJapaneseTokenizer", False),
    ("BertTweetTokenizer", False), ("PreTrainedTokenizerFast", False)])
def test_a_vocabulary_for_another_way_of_cutting_is_refused(
        name, known, tmp_path):
    pytest.importorskip("tokenizers")
    write_vocab(tmp_path, PIECES, tokenizer_config={"tokenizer_class": name})
    if known:
        assert BertTokenizer.from_pretrained(tmp_path).tokens == PIECES
        return
    with pytest.raises(CheckpointError, match=f"asks for a {name}"):
        BertTokenizer.from_pretrained(tmp_path)
    # With the library's file there is no doubt
    (tmp_path / "tokenizer.json").write_text(library_file(lambda c: None))
    assert BertTokenizer.from_pretrained(tmp_path).tokens == PIECES


def test_how_long_a_text_may_be_is_saved(trained, tmp_path):
    assert trained.max_length is None
    trained.save(tmp_path / "free")
    assert BertTokenizer.from_pretrained(tmp_path / "free").max_length is None
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 32}')
    trained.save(tmp_path)
    assert BertTokenizer.from_pretrained(tmp_path).max_length == 32
    (tmp_path / "config.json").unlink()
    assert BertTokenizer.from_pretrained(tmp_path).max_length == 32
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertTokenizer.from_pretrained(str(tmp_path))
    assert theirs.model_max_length == 32
    assert len(theirs("the " * 99, truncation=True)["input_ids"]) == 32


# Bad input

@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_missing_special_token_is_named(token, tmp_path):
    tokens = [t for t in PIECES if t != token]
    with pytest.raises(ValueError, match=f"lacks \\{token}: "):
        BertTokenizer(tokens)
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(CheckpointError, match=f"lacks \\{token}: "):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("content, message", [
    (b"", "vocab.txt is empty"), (b"\r\n\n", "vocab.txt is empty"),
    ("\n".join(PIECES).encode() + b"\ncaf\xe9", "line 17 .* is not UTF-8")])
def test_bad_vocabularies(content, message, tmp_path):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("token", ["", "a\nb", "a\r", 7, None])
def test_what_cannot_be_a_token(token):
    with pytest.raises(ValueError, match="token 16 is .*not a str of one"):
        BertTokenizer([*PIECES, token])


def test_a_folder_without_a_vocabulary(tmp_path):
    with pytest.raises(CheckpointError, match="neither a vocab.txt"):
        BertTokenizer.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        BertTokenizer.from_pretrained(tmp_path / "missing")


def test_a_model_of_another_size(trained, tmp_path):
    trained.save(tmp_path)
    (tmp_path / "config.json").write_text('{"vocab_size": 299}')
    with pytest.raises(CheckpointError, match="300 tokens.*vocab_size 299"):
        BertTokenizer.from_pretrained(tmp_path)
    for size in (300, 304):  # an embedding may have rows to spare
        (tmp_path / "config.json").write_text(json.dumps({"vocab_size": size}))
        assert len(BertTokenizer.from_pretrained(tmp_path)) == 300
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="config.json holds a JSON li"):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("settings, name", [
    ({"strip_accents": False}, "strip_accents"),
    ({"do_lower_case": False, "strip_accents": True}, "strip_accents"),
    ({"tokenize_chinese_chars": False}, "tokenize_chinese_chars")])
def test_settings_that_are_not_berts(settings, name, trained, tmp_path):
    trained.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=name):
        BertTokenizer.from_pretrained(tmp_path)


def library_file(change):
    """What the library writes for a BERT of PIECES, changed."""
    content = json.loads(BertTokenizer(PIECES)._library.to_str())
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize("change, message", [
    (lambda c: c.update(model={"type": "BPE", "unk_token": None}),
     "type BPE"),
    (lambda c: c["model"].update(continuing_subword_prefix="@@"), "'@@'"),
    (lambda c: c.update(normalizer=None), "normalizer None"),
    (lambda c: c.update(pre_tokenizer={"type": "Whitespace"}), "Whitespace"),
    (lambda c: c["normalizer"].update(strip_accents=False), "strip_accents"),
    (lambda c: c["model"]["vocab"].pop("a"), "numbered from 0 to 14"),
    (lambda c: c["model"]["vocab"].update(new=0), "numbered from 0 to 16")])
def test_tokenizers_of_another_kind(change, message, tmp_path):
    pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    path.write_text(library_file(lambda content: None))
    assert BertTokenizer.from_pretrained(tmp_path).tokens == PIECES
    path.write_text(library_file(change))
    with pytest.raises(CheckpointError, match=message):
        BertTokenizer.from_pretrained(tmp_path)
    path.write_text("{")
    with pytest.raises(CheckpointError, match="is not JSON"):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("arguments, message", [
    (([],), "there is no text"), (("",), "a text is empty"),
    ((["a", " \n"],), "a text is empty"), ((["a", 3],), "a text is 3"),
    ((["a", "b"], ["c"]), "2 texts and 1 second texts"),
    (("a", [None]), "a text is None"),
    (("a e", None, 3), "has 4 tokens .* max_length=3"),
    (("a e", "n", 5), "has 6 tokens .* max_length=5"),
    (("a e", None, 2, True), "max_length=2 has no room"),
    (("a e", "n", 4, True), "max_length=4 has no room"),
    (("a e", None, None, True), "needs a max_length")])
def test_texts_that_cannot_be_read(arguments, message):
    pytest.importorskip("tokenizers")
    with pytest.raises(ValueError, match=message):
        BertTokenizer(PIECES)(*arguments)


def test_tokens_and_ids_that_are_not_there(trained):
    with pytest.raises(ValueError, match=r"'\[FOO\]' is not among the 300"):
        trained.id("[FOO]")
    for index in 300, -1:
        with pytest.raises(IndexError, match="outside the vocabulary"):
            trained.decode([5, index])


@pytest.mark.parametrize("texts, message", [
    ([], "there is no text"), ([3], "a text is 3, not a str"),
    (["abc"], "vocab_size=9 is too small: .* are 10")])
def test_training_that_cannot_be(texts, message):
    pytest.importorskip("tokenizers")
    with pytest.raises(ValueError, match=message):
        BertTokenizer.train(texts, 9)


def test_the_library_is_only_needed_where_it_is_used(monkeypatch):
    code = ("import sys, d2lbert.original.tokenizer, d2lbert.data.subwords\n"
            "heavy = {'tokenizers', 'transformers', 'torch', 'jax', 'mxnet'}"
            "\nassert not heavy & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"d2lbert\[pretrained\]"):
        BertTokenizer(PIECES)
