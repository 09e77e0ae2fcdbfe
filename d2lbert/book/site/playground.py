"""The playground: bert.mini in a page that needs no server.

    playground.html           the page, from playground/index.html
    playground/bert.js        the forward pass, without a page
    playground/view*.js       what is seen
    playground/bert-mini.js   weights, vocabulary and known senses: from here

`bert.js` and `bert-mini.js` serve any other page as well.
"""

import base64
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from d2lbert.book.site.forward import encode
from d2lbert.checkpoints.d2l import load_pretrained_params
from d2lbert.checkpoints.params import Params
from d2lbert.data.mini.wiki import homographs, sense_sentences
from d2lbert.data.pretraining import get_tokens_and_segments
from d2lbert.data.vocab import Vocab
from d2lbert.files import write_whole

_SITE = resources.files(__package__)
NUM = 60  # known sentences a sense


def write_playground(folder: Path) -> None:
    """Write the page and its files into a folder of the site.

    Each file is written whole, and the page last: a process that dies
    leaves no page, or the one that was there with the files of both.

    Args:
        folder: made where there is none; other files in it stay.
    """
    files = {path.name: path.read_bytes()
             for path in (_SITE / "playground").iterdir() if path.is_file()}
    page = files.pop("index.html")
    files |= {name: (_SITE / "static" / name).read_bytes()
              for name in ("colors.css", "theme.js")}
    files["bert-mini.js"] = bert_mini_script().encode()
    for name, data in files.items():
        write_whole(Path(folder, "playground", name), data)
    write_whole(Path(folder, "playground.html"), page)


def bert_mini_script() -> str:
    """JavaScript that puts bert.mini, as data, into `d2lbert.mini`."""
    params, vocab, sizes = load_pretrained_params("bert.mini")
    exact = {name: array.astype(np.float64) for name, array in params.items()}
    data = {"sizes": sizes, "vocab": vocab.idx_to_token,
            "shapes": {name: list(array.shape)
                       for name, array in params.items()},
            "weights": _base64(np.concatenate(
                [array.ravel() for array in params.values()])),
            "senses": {word: _senses(word, exact, vocab, sizes["num_heads"])
                       for word in homographs()}}
    return ("// Written by d2lbert/book/site/playground.py\n"
            "var d2lbert = globalThis.d2lbert || {};\n"
            f"d2lbert.mini = {json.dumps(data, separators=(',', ':'))};\n")


def _senses(word: str, params: Params, vocab: Vocab, num_heads: int
            ) -> dict[str, Any]:
    """A homograph in N held-out sentences, and the plane of its vectors.

    Returns:
        names: of the senses; sentences: N texts; senses: N indices of
        names; vectors (N, H), mean (H,) and directions (2, H), those in
        which the vectors vary most: float32 in base64; share: of the
        variance in these two directions, in words.
    """
    pairs = _different(sense_sentences(word, 4 * NUM, part="held out"))
    vectors = np.stack([word_vector(word, tokens, params, vocab, num_heads)
                        for tokens, _ in pairs])
    mean = vectors.mean(0)
    _, sizes, directions = np.linalg.svd(vectors - mean, full_matrices=False)
    directions, share = directions[:2], (sizes[:2] ** 2).sum() / (
        sizes ** 2).sum()
    # The sign of a direction is arbitrary: let the largest part be positive.
    largest = np.abs(directions).argmax(1)[:, None]
    directions *= np.sign(np.take_along_axis(directions, largest, axis=1))
    names = list(homographs()[word])
    return {"names": names,
            "sentences": [" ".join(tokens) for tokens, _ in pairs],
            "senses": [names.index(sense) for _, sense in pairs],
            "share": f"{share:.0%}",
            "vectors": _base64(vectors), "mean": _base64(mean),
            "directions": _base64(directions)}


def _different(pairs: list[tuple[list[str], str]]
               ) -> list[tuple[list[str], str]]:
    """NUM pairs of a sentence and a sense for each sense, none twice."""
    found: dict[str, dict[str, list[str]]] = {}
    for tokens, sense in pairs:
        found.setdefault(sense, {})[" ".join(tokens)] = tokens
    return [(tokens, sense) for sense, sentences in found.items()
            for tokens in [*sentences.values()][:NUM]]


def word_vector(word: str, sentence: list[str], params: Params, vocab: Vocab,
                num_heads: int) -> np.ndarray:
    """(H,) the encoder's vector of a word where it first stands."""
    tokens, segments = get_tokens_and_segments(sentence)
    encoded = encode(params, np.array(vocab[tokens]), np.array(segments),
                     num_heads)
    return encoded[tokens.index(word)]


def _base64(array: np.ndarray) -> str:
    """The numbers as little-endian float32 in base64."""
    return base64.b64encode(array.astype("<f4").tobytes()).decode()
