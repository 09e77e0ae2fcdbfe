"""The measure of context: what a perfect, a blind and a static model get."""

import numpy as np

from d2lbert.data.mini.probe import (
    context_probe,
    few_known,
    naive_bayes_sense,
    nearest_sense,
)
from d2lbert.data.mini.wiki import PARTS, mini_wiki, sense_sentences
from d2lbert.data.vocab import Vocab

VOCAB = Vocab(["crane"])
EMBEDDING = np.ones((2, 3))


def test_nearest_sense_goes_by_the_angle():
    known = np.array([[1.0, 0], [0, 9.0], [8.0, 0]])
    assert nearest_sense(known, ["a", "b", "a"], np.array(
        [[5.0, 1], [0.1, 0.2]])) == ["a", "b"]


def test_naive_bayes_goes_by_the_words_around():
    sentences = [s.split() for s in (
        "the crane eats fish", "a crane eats frogs",
        "the crane lifts steel", "a crane lifts bricks",
        "frogs see the crane", "steel for a crane")]
    senses = ["bird", "bird", "machine", "machine"]
    assert naive_bayes_sense(sentences[:4], senses, sentences[4:]) == [
        "bird", "machine"]
    assert naive_bayes_sense(sentences[:4], senses, [["crane"], ["sky"]]) == [
        "bird", "bird"]  # ties


def probe(vector_of):
    def encode(pairs):
        return np.stack([vector_of(tokens, rest) for tokens, rest in pairs])
    return context_probe(encode, EMBEDDING, VOCAB, num=60)


def at(tokens, vector):
    rows = np.zeros((40, 3))
    rows[tokens.index("crane") + 1] = vector  # <cls> comes first
    return rows


def test_a_model_that_knows_the_sense_is_always_right():
    senses = {tuple(tokens): sense for part in PARTS
              for tokens, sense in sense_sentences("crane", 60, part=part)}

    def vector_of(tokens, rest):
        is_bird = senses[tuple(tokens)] == "bird"
        return at(tokens, [1, 0, 0] if is_bird else [0, 1, 0])

    result = probe(vector_of)
    assert result.contextual == 1.0 and result.static == 0.5
    assert 0.5 < result.counts <= 1.0
    assert (few_known(result, 1, draws=5) == 1.0).all()
    counted = few_known(result, 1, draws=5, guess=naive_bayes_sense,
                        what="sentences")
    assert 0.3 < counted.mean() < 0.9 and len(counted) == 5
    again = few_known(result, 1, draws=5, guess=naive_bayes_sense,
                      what="sentences")
    assert (counted == again).all()


def test_a_model_that_ignores_context_is_at_chance():
    result = probe(lambda tokens, rest: at(tokens, [1, 2, 3]))
    assert result.contextual == result.static == 0.5


def test_held_out_sentences_are_balanced_and_not_among_the_known():
    asked = []

    def encode(pairs):
        asked.append([tuple(tokens) for tokens, _ in pairs])
        return np.stack([at(tokens, [1, 0, 0]) for tokens, _ in pairs])

    result = context_probe(encode, EMBEDDING, VOCAB, num=60)
    (sentences,) = asked
    known, held_out = sentences[:120], sentences[120:]
    written = {tuple(s) for p in mini_wiki(2000) for s in p.sentences}
    assert not (written | set(known)) & set(held_out)
    assert result.senses.count("bird") == result.senses.count("machine")
    assert len(result.vectors) == len(result.senses) == len(held_out) == 120
