"""Classifiers that count."""

import numpy as np
import pytest

from d2lbert.data.counting import (
    Neighbours,
    naive_bayes,
    pmi_features,
    word_pmi,
)


def test_naive_bayes_by_hand():
    rows, labels = [["a", "b"], ["a", "a"], ["c"]], [0, 0, 1]
    # P(0) = 3/5 and P(1) = 2/5; P(a|0) = 4/7, P(b|0) = 2/7, P(c|0) = 1/7;
    # P(c|1) = 2/4, the others 1/4
    assert naive_bayes(rows, labels, [["a"], ["c"], ["b", "c"], ["?", "c"]]
                       ).tolist() == [0, 1, 1, 1]
    assert naive_bayes(rows, labels, [["a", "b", "c"]]).tolist() == [
        int(2 / 5 * (1 / 4 * 1 / 4 * 2 / 4)
            > 3 / 5 * (4 / 7 * 2 / 7 * 1 / 7))]


def test_naive_bayes_without_features_takes_the_most_frequent_label():
    rows, others = [["a"]] * 4, [[], ["?"]]
    assert naive_bayes(rows, [1, 0, 1, 1], others).tolist() == [1, 1]
    assert naive_bayes(rows, [1, 0, 1, 0], others).tolist() == [0, 0]  # a tie
    assert naive_bayes(rows, [1, 0, 1, 1], []).tolist() == []


def test_pmi_by_hand():
    index, pmi = word_pmi([["a", "b", "a"], ["a"], ["b"], ["c"]])
    assert sorted(index) == ["a", "b", "c"]
    a, b, c = (index[w] for w in "abc")
    np.testing.assert_allclose(pmi, pmi.T)
    assert pmi[a, b] == pytest.approx(
        np.log((1.1 / 4) / ((2.1 / 4) * (2.1 / 4))))
    assert pmi[a, c] < pmi[a, b]


def test_pmi_of_a_pair_leaves_out_what_both_say():
    index = {"a": 0, "b": 1, "c": 2}
    pmi = np.array([[9, 1, 2], [1, 9, -3], [2, -3, 9.0]])
    features = pmi_features(index, pmi)
    assert features("a b".split(), "a c".split()) == [
        "largest -6", "mean -12"]
    assert features("a".split(), "b c ?".split()) == ["largest 4", "mean 6"]
    assert features("a".split(), "a".split()) == ["largest 0", "mean 0"]


def test_neighbours_by_hand():
    rivals = Neighbours([s.split() for s in (
        "^ a b a $", "^ a c a $", "^ a c d $", "^ b $")])
    assert rivals("a", "a") == ["a", "c", "b", "b"]
    assert rivals("a", "d") == ["a", "c", "c", "c"]
    assert rivals("d", "$") == ["a", "a", "a", "a"]  # the end is not said
    assert rivals("?", "?") == ["a", "a", "a", "a"]
    assert len(rivals.rivals) == len(rivals("?", "?"))
    for nothing in ([], [[]], [["^", "$"]]):
        with pytest.raises(ValueError, match="no sentence has a token"):
            Neighbours(nothing)
