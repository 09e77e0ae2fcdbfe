"""Sentences written by hand: two senses of a word, news to be searched."""

import re
from itertools import combinations

import pytest

from d2lbert.data.mini.sentences import lookalikes, news, real_homographs

SMALL = set("a about after again an and are as at be been can do does for "
            "from gave gives has have her his how in is it its like may more "
            "much my no not of off on or ran so still than that the their "
            "there they this three to two until up was what when which who "
            "why will with without".split())


def words(text):
    return re.findall(r"\w+", text.lower())


def likeness(one, other):
    """The share of their words that two sentences have in common."""
    one, other = set(words(one)), set(words(other))
    return len(one & other) / len(one | other)


def test_there_are_four_homographs_with_two_senses_each():
    table = real_homographs()
    assert list(table) == ["crane", "bank", "bat", "seal"]
    for word, senses in table.items():
        assert len(senses) == 2, word
        assert len({len(group) for group in senses.values()}) == 1, word
        assert min(map(len, senses.values())) >= 20, word


@pytest.mark.parametrize("word", real_homographs())
def test_each_sentence_has_its_word_once_and_is_none_of_the_others(word):
    sentences = sum(real_homographs()[word].values(), [])
    for sentence in sentences:
        assert words(sentence).count(word) == 1, sentence
        assert sentence.isascii() and sentence[-1] in ".?", sentence
        assert sentence == " ".join(sentence.split())
    for one, other in combinations(sentences, 2):
        assert likeness(one, other) < 0.45, (one, other)


@pytest.mark.parametrize("word", real_homographs())
def test_the_place_of_the_word_does_not_tell_its_sense(word):
    """Nor does the length: a rule with one threshold is hardly right."""
    senses = [([words(s).index(word) for s in group],
               [len(words(s)) for s in group])
              for group in real_homographs()[word].values()]
    for one, other in zip(*senses):
        most = max(sum(x <= t for x in one) + sum(x > t for x in other)
                   for t in range(20))
        share = max(most, len(one + other) - most) / len(one + other)
        assert share < 0.75, share


def test_the_tokenizer_has_a_piece_for_each_word():
    from d2lbert.original.find import find_checkpoint
    from d2lbert.original.tokenizer import BertTokenizer
    pytest.importorskip("tokenizers")
    try:
        tokenizer = BertTokenizer.from_pretrained(
            find_checkpoint("all-minilm-l6-v2"))
    except ImportError as error:
        pytest.skip(str(error))
    for word, senses in real_homographs().items():
        for sentence in sum(senses.values(), []):
            assert tokenizer.tokenize(sentence).count(word) == 1, sentence


def test_news_differ_and_keywords_are_theirs():
    rows = news()
    assert 30 <= len(rows) <= 40
    for one, other in combinations(rows, 2):
        assert likeness(one.text, other.text) < 0.4, (one.text, other.text)
        assert one.question != other.question
    for row in rows:
        assert set(words(row.keywords)) <= set(words(row.text)), row


def test_questions_share_no_content_word_with_their_answer():
    for row in news():
        common = set(words(row.question)) & set(words(row.text)) - SMALL
        assert not common, (row, common)


def test_lookalikes_look_more_alike_than_paraphrases():
    rows = lookalikes()
    kinds = [row.kind for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "negation": 6, "roles": 6, "numbers": 6}
    for row in rows:
        assert len({row.text, row.same, row.other}) == 3
        assert likeness(row.text, row.other) > 0.4, row
        if row.kind == "roles":
            assert sorted(words(row.text)) == sorted(words(row.other))
