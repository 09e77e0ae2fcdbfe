"""Does the vector of a word depend on its context? Measured, not asserted.

A homograph such as crane (a bird, a machine) is encoded in many sentences
whose sense the grammar of mini-wiki knows. On other sentences, held out, we
count how often the word's vector is nearer to the right sense than to the
wrong one: whether the nearest of the known vectors has the same sense. A
static embedding gives the word the same vector everywhere and can only guess.
The words around it, counted, are the rival that has to be beaten.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from d2lbert.data.counting import naive_bayes
from d2lbert.data.mini.wiki import sense_sentences
from d2lbert.data.vocab import Vocab

# Senses of others, from what is known of some and their senses
Guess = Callable[[Any, Sequence[str], Any], list[str]]


@dataclass(frozen=True)
class Sensed:
    """N sentences that hold a homograph once.

    Attributes:
        sentences: list of N lists of tokens.
        senses: list of N senses.
        vectors: (N, H) the encoder's vectors of the homograph.
    """
    sentences: list[list[str]]
    senses: list[str]
    vectors: np.ndarray


@dataclass(frozen=True)
class Probe:
    """Shares of held-out sentences, 0.5 being chance.

    Attributes:
        contextual: share right with the encoder's vectors.
        static: share right with the token embedding alone.
        counts: share right for naive Bayes over the words of a sentence.
        known, held_out: the sentences, two `Sensed`.
        vectors, senses: those of the held-out sentences.
    """
    contextual: float
    static: float
    counts: float
    known: Sensed
    held_out: Sensed

    @property
    def vectors(self) -> np.ndarray:
        return self.held_out.vectors

    @property
    def senses(self) -> list[str]:
        return self.held_out.senses


def nearest_sense(known: np.ndarray, known_senses: Sequence[str],
                  vectors: np.ndarray) -> list[str]:
    """The sense of the known vector that has the highest cosine with each.

    Args:
        known: (M, H) vectors of known_senses, a list of M names.
        vectors: (N, H).

    Returns:
        A list of N senses; ties go to the first of the known.
    """
    cosines = (unit(vectors) @ unit(known).T).round(6)  # equal ones tie
    return [known_senses[i] for i in cosines.argmax(1)]


def naive_bayes_sense(known: Sequence[Sequence[str]],
                      known_senses: Sequence[str],
                      sentences: Sequence[Sequence[str]]) -> list[str]:
    """The likeliest sense of each sentence, from its words alone.

    Args:
        known: M sentences, lists of words, of known_senses, M names.
        sentences: N of them.

    Returns:
        A list of N senses; ties go to the sense that comes first.
    """
    senses = [*dict.fromkeys(known_senses)]
    labels = [senses.index(sense) for sense in known_senses]
    return [senses[i] for i in naive_bayes(known, labels, sentences)]


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, H) -> (N, H), each row of length 1, or 0 if it was."""
    vectors = np.asarray(vectors)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def share_right(guesses: Sequence[str], senses: Sequence[str]) -> float:
    """The share of guesses that are the sense."""
    return float(np.mean(np.array(guesses) == np.array(senses)))


def few_known(probe: Probe, num: int = 3, draws: int = 100, *,
              guess: Guess = nearest_sense, what: str = "vectors",
              seed: int = 0) -> np.ndarray:
    """The shares right with `num` known sentences a sense, drawn anew.

    Args:
        guess: tells senses from known ones, as `nearest_sense` does.
        what: it tells them by: "vectors" or "sentences".
        seed: of the draws; the same seed draws the same sentences.

    Returns:
        (draws,) shares of all held-out sentences.
    """
    rng, senses = np.random.default_rng(seed), np.array(probe.known.senses)
    known, asked = getattr(probe.known, what), getattr(probe.held_out, what)
    shares = []
    for _ in range(draws):
        rows = np.concatenate([
            rng.choice(np.flatnonzero(senses == sense), num, replace=False)
            for sense in dict.fromkeys(probe.known.senses)])
        guesses = guess([known[row] for row in rows], senses[rows].tolist(),
                        asked)
        shares.append(share_right(guesses, probe.senses))
    return np.array(shares)


def context_probe(encode: Callable[[list], np.ndarray], embedding: np.ndarray,
                  vocab: Vocab, word: str = "crane", num: int = 200) -> Probe:
    """Compare contextual and static vectors of a homograph of mini-wiki.

    Args:
        encode: (list of (tokens, None)) -> (N, L, H) array.
        embedding: (V, H) token embeddings of the same model.
        num: sentences a sense, as many known as held out. Mini-wiki's text
            to train on may have the known ones; it has none of the others.

    Returns:
        A `Probe`.
    """
    pairs = sense_sentences(word, num)
    pairs += sense_sentences(word, num, part="held out")
    sentences = [tokens for tokens, _ in pairs]
    vectors = encode([(tokens, None) for tokens in sentences])
    vectors = np.stack([vectors[row, tokens.index(word) + 1]  # after <cls>
                        for row, tokens in enumerate(sentences)])
    half = len(pairs) // 2
    known, held_out = (
        Sensed(sentences[rows], [sense for _, sense in pairs[rows]],
               vectors[rows])
        for rows in (slice(half), slice(half, None)))

    def share(guess: Guess, known_rows: Any, rows: Any) -> float:
        return share_right(guess(known_rows, known.senses, rows),
                           held_out.senses)

    static = np.repeat(embedding[[vocab[word]]], half, axis=0)
    return Probe(share(nearest_sense, known.vectors, held_out.vectors),
                 share(nearest_sense, static, static),
                 share(naive_bayes_sense, known.sentences,
                       held_out.sentences),
                 known, held_out)
