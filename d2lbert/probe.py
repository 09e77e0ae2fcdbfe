"""Does the vector of a word depend on its context? Measured, not asserted.

A homograph such as crane (a bird, a machine) is encoded in many sentences
whose sense the grammar of mini-wiki knows. The mean vector of each sense is
taken on some sentences; on other sentences, held out, we count how often the
word's vector is nearer to the mean of the right sense. A static embedding
gives the word the same vector everywhere, so that it can only guess.
"""

from dataclasses import dataclass

import numpy as np

from d2lbert.miniwiki import sense_sentences


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
    senses: list


def nearest_sense(known, known_senses, vectors):
    """The sense whose mean vector has the highest cosine with each vector.

    Args:
        known: (M, H) vectors of known_senses, a list of M names.
        vectors: (N, H).

    Returns:
        A list of N senses; ties go to the first in alphabetical order.
    """
    senses = sorted(set(known_senses))
    of = np.array(known_senses)
    means = np.stack([known[of == sense].mean(0) for sense in senses])
    cosines = _unit(vectors) @ _unit(means).T
    return [senses[i] for i in cosines.argmax(1)]


def context_probe(encode, embedding, vocab, word="crane", num=200):
    """Compare contextual and static vectors of a homograph of mini-wiki.

    Args:
        encode: (list of (tokens, None)) -> (N, L, H) array.
        embedding: (V, H) token embeddings of the same model.
        num: sentences a sense, for the means and again held out.

    Returns:
        A `Probe`.
    """
    known = sense_sentences(word, num, seed=101)
    seen = {tuple(tokens) for tokens, _ in known}
    held_out = _balanced([s for s in sense_sentences(word, num, seed=102)
                          if tuple(s[0]) not in seen])
    senses = [sense for _, sense in held_out]

    def share(vectors_of):
        guesses = nearest_sense(vectors_of(known), [s for _, s in known],
                                vectors_of(held_out))
        return float(np.mean([g == s for g, s in zip(guesses, senses)]))

    def contextual(sentences):
        vectors = encode([(tokens, None) for tokens, _ in sentences])
        return np.stack([vectors[row, tokens.index(word) + 1]  # after <cls>
                         for row, (tokens, _) in enumerate(sentences)])

    def static(sentences):
        return np.repeat(embedding[[vocab[word]]], len(sentences), axis=0)

    return Probe(share(contextual), share(static), contextual(held_out),
                 senses)


def _balanced(sentences):
    by_sense = {}
    for sentence in sentences:
        by_sense.setdefault(sentence[1], []).append(sentence)
    fewest = min(map(len, by_sense.values()))
    return [s for group in by_sense.values() for s in group[:fewest]]


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
