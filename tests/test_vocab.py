"""Words and ids, and how one or two sentences become an input."""

import warnings

import numpy as np
import pytest

from d2lbert.data.pretraining import (
    RESERVED_TOKENS,
    get_tokens_and_segments,
    pad_inputs,
)
from d2lbert.data.vocab import Vocab, tokenize


def test_unk_first_then_reserved_then_words_by_frequency():
    vocab = Vocab([["b", "a"], ["a", "c", "a", "b"]], min_freq=2,
                  reserved_tokens=["<pad>", "<mask>"])
    assert vocab.idx_to_token == ["<unk>", "<pad>", "<mask>", "a", "b"]
    assert vocab.token_freqs == [("a", 3), ("b", 2), ("c", 1)]
    assert vocab["a"] == 3 and vocab["c"] == vocab.unk == 0


def test_a_corpus_with_unk_and_pad_in_it_has_each_once():
    vocab = Vocab(["<unk>", "<unk>", "a", "<pad>"],
                  reserved_tokens=["<pad>"])
    assert vocab.idx_to_token == ["<unk>", "<pad>", "a"]
    assert vocab["<unk>"] == 0


def test_lists_stay_lists_both_ways():
    vocab = Vocab(["a", "b"])
    assert vocab[["b", "a"]] == [2, 1] and vocab[[["a"], ["b"]]] == [[1], [2]]
    assert vocab.to_tokens([2]) == ["b"] and vocab.to_tokens(2) == "b"
    assert vocab.to_tokens(np.array([[1, 0]])) == [["a", "<unk>"]]
    assert vocab.to_tokens(np.int64(1)) == "a" and vocab[[]] == []


def test_missing_special_token_is_an_error_not_unk():
    with pytest.raises(KeyError, match="<pad>.*reserved_tokens"):
        Vocab(["a"])["<pad>"]
    with pytest.raises(KeyError, match="<mask>"):
        Vocab(["a"])[["a", "<mask>"]]


@pytest.mark.parametrize("index", [3, -1, [0, 9]])
def test_id_outside_the_vocabulary_is_an_error(index):
    with pytest.raises(IndexError, match="outside the vocabulary"):
        Vocab(["a", "b"]).to_tokens(index)


def test_tables_can_be_assigned_as_d2l_programs_do():
    vocab = Vocab()
    vocab.idx_to_token = ["<unk>", "x"]
    vocab.token_to_idx = {"<unk>": 0, "x": 1}
    assert len(vocab) == 2 and vocab["x"] == 1 and vocab["y"] == 0


def test_vocabularies_share_no_default_list():
    first, second = Vocab(), Vocab()
    first.idx_to_token.append("x")
    assert second.idx_to_token == ["<unk>"]


def test_tokenize():
    assert tokenize(["a crane", "is"]) == [["a", "crane"], ["is"]]
    assert tokenize(["ab"], "char") == [["a", "b"]]
    with pytest.raises(ValueError, match="syllable"):
        tokenize(["a"], "syllable")


def test_tokens_and_segments_of_the_two_example_sentences():
    one = get_tokens_and_segments("a crane is flying".split())
    assert one == (["<cls>", "a", "crane", "is", "flying", "<sep>"], [0] * 6)
    tokens, segments = get_tokens_and_segments(
        "a crane driver came".split(), "he just left".split())
    assert tokens[2] == "crane" and tokens[5] == tokens[9] == "<sep>"
    assert segments == [0] * 6 + [1] * 4


def test_inputs_are_padded_to_the_longest():
    vocab = Vocab(["a", "b"], reserved_tokens=RESERVED_TOKENS)
    with pytest.warns(UserWarning, match="^'x': not among the 7 tokens"):
        tokens, segments, valid_lens = pad_inputs(
            [(["a"], None), (["a"], ["b", "x"])], vocab)
    pad, cls, sep = vocab[["<pad>", "<cls>", "<sep>"]]
    assert tokens.tolist() == [[cls, 5, sep, pad, pad, pad],
                               [cls, 5, sep, 6, 0, sep]]
    assert segments.tolist() == [[0] * 6, [0, 0, 0, 1, 1, 1]]
    assert valid_lens.tolist() == [3, 6]


def test_unknown_words_of_a_sentence_are_named_once_and_in_the_readers_line():
    vocab = Vocab(["a"], reserved_tokens=RESERVED_TOKENS)
    with pytest.warns(UserWarning, match="'b', .* 'f' and 2 more: ") as told:
        pad_inputs([(list("abcdefgh"), list("abc"))], vocab)
    assert len(told) == 1 and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pad_inputs([(["a"], ["<unk>"])], vocab)  # which is in the vocabulary


def test_a_text_is_not_taken_for_a_token_or_for_its_letters():
    vocab = Vocab(["a", "crane"])
    with pytest.warns(UserWarning, match="looked up as one token") as told:
        assert vocab["a crane"] == vocab.unk
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one word, known or not, is a token
        assert vocab["zeppelin"] == 0 and vocab[" "] == 0
        assert Vocab([["new york"]])["new york"] == 1
    with pytest.raises(ValueError, match="tokens is the str 'a crane'"):
        Vocab("a crane")
    with pytest.raises(ValueError, match="lines is the str 'a crane'"):
        tokenize("a crane")
    for pair in ("a crane", None), (["a"], "crane"):
        with pytest.raises(ValueError, match="crane', not a list of tokens"):
            get_tokens_and_segments(*pair)


@pytest.mark.parametrize("sentence", ["a crane", [], ""])
def test_a_sentence_that_is_no_list_of_tokens(sentence):
    vocab = Vocab(["a"], reserved_tokens=RESERVED_TOKENS)
    with pytest.raises(ValueError, match="tokenize"):
        pad_inputs([(sentence, None)], vocab)
