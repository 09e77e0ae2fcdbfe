"""Does the vector of a word depend on its context? Measured, not asserted.

A homograph such as crane (a bird, a machine) is encoded in many sentences
whose sense the grammar of mini-wiki knows. On other sentences, held out, we
count how often the word's vector is nearer to the right sense than to the
wrong one: whether the nearest of the known vectors has the same sense. A
static embedding gives the word the same vector everywhere and can only guess.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from d2lbert.data.mini.wiki import sense_sentences
from d2lbert.data.vocab import Vocab

_Labelled = tuple[list[str], str]  # a sentence and the sense of its word


@dataclass(frozen=True)
class Probe:
    """Shares of held-out sentences, 0.5 being chance.

    Attributes:
        contextual: share right with the encoder's vectors.
        static: share right with the token embedding alone.
        vectors: (N, H) encoder's vectors of the held-out sentences.
        senses: list of N senses.
    """
    contextual: float
    static: float
    vectors: np.ndarray
    senses: list[str]


def nearest_sense(known: np.ndarray, known_senses: list[str],
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


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, H) -> (N, H), each row of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


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
    known = sense_sentences(word, num)
    held_out = sense_sentences(word, num, part="held out")
    senses = [sense for _, sense in held_out]

    def share(known_vectors: np.ndarray, vectors: np.ndarray) -> float:
        guesses = nearest_sense(known_vectors, [s for _, s in known], vectors)
        return float(np.mean([g == s for g, s in zip(guesses, senses)]))

    def contextual(sentences: list[_Labelled]) -> np.ndarray:
        vectors = encode([(tokens, None) for tokens, _ in sentences])
        return np.stack([vectors[row, tokens.index(word) + 1]  # after <cls>
                         for row, (tokens, _) in enumerate(sentences)])

    def static(sentences: list[_Labelled]) -> np.ndarray:
        return np.repeat(embedding[[vocab[word]]], len(sentences), axis=0)

    vectors = contextual(held_out)
    return Probe(share(contextual(known), vectors),
                 share(static(known), static(held_out)), vectors, senses)
