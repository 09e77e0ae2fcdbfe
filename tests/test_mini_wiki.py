"""The bundled encyclopedia: its grammar, its format, its senses."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from d2lbert.data.mini.wiki import (
    facts,
    grammar,
    homographs,
    mini_wiki,
    sense_sentences,
    to_text,
)

PRONOUNS = {"he": {"he", "his", "him"}, "she": {"she", "her"}}
FIRST = (
    "the trunk is a strong leather box for coats . "
    "asha came to see a chest at noon . "
    "in oskby the trunk has room for dresses . "
    "asha sees a trunk that keeps boots dry . "
    "a trunk is full of hats near oskby today . "
    "the old trunk holds coats today .\n")


@pytest.fixture(scope="module")
def paragraphs():
    return mini_wiki(8000)


@pytest.fixture(scope="module")
def sentences(paragraphs):
    return [s for paragraph in paragraphs for s in paragraph.sentences]


def test_same_seed_same_text_and_other_seed_other_text():
    assert mini_wiki(50, seed=3) == mini_wiki(50, seed=3)
    assert mini_wiki(50, seed=3) == mini_wiki(80, seed=3)[:50]
    assert mini_wiki(50, seed=3) != mini_wiki(50, seed=4)


def test_first_paragraph_is_the_same_on_every_machine():
    # Changes with the grammar or with the order of the draws: the figures
    # measured on mini-wiki must then be measured again.
    assert to_text(mini_wiki(1)) == FIRST


def test_text_reads_back_as_wikitext(paragraphs):
    lines = to_text(paragraphs).splitlines()
    assert len(lines) == len(paragraphs)
    for line, paragraph in zip(lines, paragraphs):
        read = line.strip().lower().removesuffix(" .").split(" . ")
        assert [s.split() for s in read] == paragraph.sentences


def test_sizes_of_sentences_and_paragraphs(paragraphs, sentences):
    assert {len(p.sentences) for p in paragraphs} == {4, 5, 6, 7}
    lengths = [len(s) for s in sentences]
    assert min(lengths) >= 4 and max(lengths) <= 18
    assert all(re.fullmatch("[a-z]+", token) for s in sentences for token in s)


def test_no_sentence_twice_in_a_paragraph(paragraphs):
    for paragraph in paragraphs:
        assert len(set(map(tuple, paragraph.sentences))) == len(
            paragraph.sentences)


def test_vocabulary_is_small_and_no_word_is_rare(sentences):
    counts = Counter(token for s in sentences for token in s)
    assert 900 <= len(counts) <= 1200
    assert min(counts.values()) >= 10


def test_most_sentences_are_distinct(sentences):
    assert len(set(map(tuple, sentences))) > 0.5 * len(sentences)


def test_articles_agree_with_the_next_word(sentences):
    pairs = {pair for s in sentences for pair in pairwise(s)}
    after = {a: {y for x, y in pairs if x == a} for a in ("a", "an")}
    assert after["an"] and all(w[0] in "aeiou" for w in after["an"])
    assert after["a"] and not any(w[0] in "aeiou" for w in after["a"])
    # Words whose first letter misleads: "a unit", "an hour".
    assert not any(re.match("u[ns]i|us|eu|one|hour|honest|heir", w)
                   for w in after["a"] | after["an"])
    assert all(s[-1] not in ("a", "an") for s in sentences)


def test_every_slot_of_every_template_is_known():
    shared = set(grammar()["slots"]) | {"person"} | set(
        grammar()["pronouns"]["he"])
    for topic, rules in grammar()["topics"].items():
        values = [v for v in rules.values() if isinstance(v, str)]
        for text in rules["first"] + rules["then"] + values:
            assert text.count("{") == text.count("}")
            names = re.findall(r"\{(\w+)\*?\}", text)
            assert set(names) <= shared | set(rules), (topic, text)


def test_every_slot_of_a_topic_is_used():
    for topic, rules in grammar()["topics"].items():
        text = " ".join(rules["first"] + rules["then"] + grammar()["facts"] + [
            v for v in rules.values() if isinstance(v, str)])
        unused = [name for name, value in rules.items()
                  if isinstance(value, str)
                  and not re.search(rf"\{{{name}\*?\}}", text)]
        assert not unused, (topic, unused)


def test_pronouns_follow_somebody_of_their_kind(paragraphs):
    kind = {name: he for he, names in grammar()["people"].items()
            for name in names.split("|")}
    named = Counter()
    for paragraph in paragraphs:
        words = [w for s in paragraph.sentences for w in s]
        people = {w for w in words if w in kind}
        assert len(people) <= 1
        for he in {kind[name] for name in people}:
            named[he] += 1
            other = PRONOUNS["she" if he == "he" else "he"] - {"her"}
            assert not other & set(words), words
        assert not {"he", "him"} & set(words) or "she" not in words
    assert min(named.values()) > 0.4 * named.total()


def test_pronouns_come_after_the_person(paragraphs):
    names = {n for group in grammar()["people"].values()
             for n in group.split("|")}
    seen = 0
    for paragraph in paragraphs:
        roles = set(grammar()["topics"][paragraph.topic].get(
            "role", "").split("|"))
        somebody = False
        for sentence in paragraph.sentences:
            # "its mother … her pup" is an animal's: only he, she, him, his.
            if {"he", "she", "him", "his"} & set(sentence):
                seen += 1
                assert somebody, paragraph
            somebody = somebody or bool((names | roles) & set(sentence))
    assert seen > 1000


def test_homographs_have_two_senses_and_stay_in_their_topics(paragraphs):
    assert len(homographs()) >= 7
    assert homographs()["crane"] == ("bird", "machine")
    assert all(len(set(senses)) == 2 for senses in homographs().values())
    found = defaultdict(set)
    for paragraph in paragraphs:
        for word in {w for s in paragraph.sentences for w in s}:
            if word in homographs():
                found[word].add(paragraph.senses[word])
    assert found == {w: set(senses) for w, senses in homographs().items()}
    assert any(not paragraph.senses for paragraph in paragraphs)


def test_facts_have_six_phrases_each_and_none_is_of_two():
    assert facts()["crane", "bird", "food"][0] == "eats frogs"
    assert {(word, sense) for word, sense, _ in facts()} == {
        (word, sense) for word, names in homographs().items()
        for sense in names}
    phrases = [phrase for some in facts().values() for phrase in some]
    assert {len(some) for some in facts().values()} == {6}
    assert len({*phrases}) == len(phrases)


@pytest.mark.parametrize("word", homographs())
def test_sense_sentences_are_balanced_and_hold_the_word_once(word):
    found = sense_sentences(word, 60, seed=1)
    assert Counter(sense for _, sense in found) == dict.fromkeys(
        homographs()[word], 60)
    assert all(tokens.count(word) == 1 for tokens, _ in found)
    assert found == sense_sentences(word, 60, seed=1)
    assert found != sense_sentences(word, 60, seed=2)


@pytest.mark.parametrize("word", homographs())
def test_hardly_any_sentence_fits_both_senses(word):
    senses = defaultdict(set)
    for tokens, sense in sense_sentences(word, 600):
        senses[tuple(tokens)].add(sense)
    ambiguous = sum(len(s) > 1 for s in senses.values())
    assert ambiguous <= 0.02 * len(senses)


@pytest.mark.parametrize("word", homographs())
def test_the_senses_share_frames(word):
    """Some neighbours of a homograph come with both of its senses."""
    windows = defaultdict(set)
    for tokens, sense in sense_sentences(word, 600):
        at = tokens.index(word)
        windows[sense].add(tuple(tokens[max(at - 1, 0):at + 2]))
    one, two = windows.values()
    assert len(one & two) >= 3, (one, two)


def test_unknown_homograph_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'tree'.*crane"):
        sense_sentences("tree", 1)


def test_the_words_of_the_chapters_examples_and_their_topics(paragraphs):
    sentences = defaultdict(set)
    for paragraph in paragraphs:
        text = to_text([paragraph])
        for phrase in ("a crane is flying", "a crane driver came"):
            if phrase in text:
                sentences[phrase].add(paragraph.topic)
        if re.search("crane driver came.*(he|she) just left", text):
            sentences["just left"].add(paragraph.topic)
    assert sentences == {"a crane is flying": {"crane (bird)"},
                         "a crane driver came": {"crane (machine)"},
                         "just left": {"crane (machine)"}}


def test_next_sentences_share_words_and_strangers_do_not(
        paragraphs, sentences):
    counts = Counter(word for s in sentences for word in s)
    common = {word for word, _ in counts.most_common(10)}  # the, in, a, of …

    def share(pairs):
        return sum(bool(set(a) & set(b) - common) for a, b in pairs)

    nexts = [pair for p in paragraphs for pair in pairwise(p.sentences)]
    strangers = [(p.sentences[1], q.sentences[2])
                 for p, q in pairwise(paragraphs)]
    assert share(nexts) > 0.6 * len(nexts)
    assert share(strangers) < 0.2 * len(strangers)
