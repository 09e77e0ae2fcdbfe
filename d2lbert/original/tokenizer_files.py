"""The files of a BERT's tokenizer, as `transformers` writes and reads them.

What is no WordPiece over words that stand between blanks and signs is refused,
not read by halves.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from d2lbert.checks import CheckpointError
from d2lbert.data.corpora import read_text
from d2lbert.files import model_folder, read_json, write_whole

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# A word of more characters than these is [UNK], as in Google's code
WORDPIECE = {"unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100}
_PREPARATION = {"normalizer": "BertNormalizer",
                "pre_tokenizer": "BertPreTokenizer"}
# The classes that read a vocab.txt as BERT's does; without a tokenizer.json
# nothing else tells how a text is cut.
_CLASSES = ("Bert", "DistilBert", "Electra")
_VOCAB, _LIBRARY, _ADDED = "vocab.txt", "tokenizer.json", "added_tokens.json"
_SETTINGS, _CONFIG = "tokenizer_config.json", "config.json"
# How an added token is found in a text, by the `tokenizers` library's names
_FLAGS = {"single_word": False, "lstrip": False, "rstrip": False,
          "normalized": True, "special": False}
_ENDLESS = 10**9  # what transformers writes for no limit is larger
Added = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True)
class TokenizerFiles:
    """What the files of a tokenizer say.

    Attributes:
        tokens: the list, id -> token.
        lowercase: whether text is lowercased and loses its accents.
        added: {token: flags} of those that are taken out of a text whole.
        max_length: the most tokens that the model can read, if it is said.
    """
    tokens: Sequence[str]
    lowercase: bool = True
    added: Added = field(default_factory=dict)
    max_length: int | None = None


def read_tokenizer_files(folder: Path) -> TokenizerFiles:
    """Read vocab.txt or tokenizer.json, and what stands beside it.

    Raises:
        CheckpointError: if there is no vocabulary, if it is not one of BERT's
            WordPieces, if the model knows fewer tokens, or if a file is not
            made as `transformers` makes it.
        ValueError: for a vocab.txt that is not UTF-8.
    """
    try:
        return _read_files(folder)
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"the tokenizer's files in {folder} are not made as transformers "
            f"makes them ({error!r}): save or fetch them again") from error


def _read_files(folder: Path) -> TokenizerFiles:
    settings = _read_optional(folder / _SETTINGS)
    library = _read_optional(folder / _LIBRARY)
    if library:
        settings = _check_library(library, folder / _LIBRARY) | settings
    if (folder / _VOCAB).is_file():
        _check_class(settings, library, folder)
        tokens = _read_vocab(folder / _VOCAB)
    elif library:
        tokens = _in_order(library["model"]["vocab"], folder / _LIBRARY)
    else:
        raise CheckpointError(f"{folder} has neither a {_VOCAB} nor a "
                              f"{_LIBRARY}: name a folder with one")
    added = _added_tokens(folder, library, settings)
    tokens = _with_added(tokens, added, folder)
    config = _read_optional(folder / _CONFIG)
    _check_size(len(tokens), config.get("vocab_size"), folder)
    return TokenizerFiles(
        tokens, _lowercase(settings),
        {token: flags for token, (_, flags) in added.items()},
        _max_length(settings.get("model_max_length"),
                    config.get("max_position_embeddings")))


def write_tokenizer_files(folder: str | Path, files: TokenizerFiles) -> None:
    """Write vocab.txt and tokenizer_config.json."""
    folder = Path(folder)
    ids = {token: i for i, token in enumerate(files.tokens)}
    settings: dict[str, Any] = {
        "do_lower_case": files.lowercase, "tokenizer_class": "BertTokenizer"}
    limit = _max_length(files.max_length, _read_optional(
        folder / _CONFIG).get("max_position_embeddings"))
    if limit:
        settings["model_max_length"] = limit
    if files.added:
        settings["added_tokens_decoder"] = {
            str(ids[token]): {"content": token, **_FLAGS, **flags}
            for token, flags in files.added.items()}
    with model_folder(folder, _VOCAB) as draft:
        write_whole(draft / _SETTINGS, json.dumps(settings) + "\n")
        write_whole(draft / _VOCAB, "\n".join(files.tokens) + "\n")


def _read_vocab(path: Path) -> list[str]:
    """A token a line; its number is the id. Only line feeds end a line.

    As in `transformers` the last of equal lines has the token. The others, and
    blank ones, have ids that no text gives; they get names with a blank, which
    no text gives either.
    """
    text = read_text(path).replace("\r\n", "\n").rstrip("\n")
    if not text:
        raise CheckpointError(f"{path} is empty, not a list of tokens")
    lines = text.split("\n")
    last = {line: i for i, line in enumerate(lines)}
    return [line if line and last[line] == i else f"[line {i + 1}]"
            for i, line in enumerate(lines)]


def _in_order(ids: dict[str, int], path: Path) -> list[str]:
    if sorted(ids.values()) != list(range(len(ids))):
        raise CheckpointError(f"the {len(ids)} tokens in {path} are not "
                              f"numbered from 0 to {len(ids) - 1}")
    return sorted(ids, key=ids.__getitem__)


def _check_library(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The settings in the library's own file, which must be BERT's."""
    model, normalizer, splitter = (
        content.get(part) or {}
        for part in ("model", "normalizer", "pre_tokenizer"))
    found = {"normalizer": normalizer.get("type"),
             "pre_tokenizer": splitter.get("type"),
             **{key: model.get(key) for key in WORDPIECE}}
    for key, value in {**_PREPARATION, **WORDPIECE}.items():
        if found[key] != value:
            raise CheckpointError(
                f"{path} holds a tokenizer of type {model.get('type')} with "
                f"{key} {found[key]!r}; BERT's is WordPiece with {value!r}")
    return {"do_lower_case": normalizer.get("lowercase"),
            "strip_accents": normalizer.get("strip_accents"),
            "tokenize_chinese_chars": normalizer.get("handle_chinese_chars")}


def _check_class(settings: dict[str, Any], library: dict[str, Any],
                 folder: Path) -> None:
    """A vocab.txt alone does not tell how a text is cut into words."""
    name = settings.get("tokenizer_class") or "BertTokenizer"
    known = {f"{model}Tokenizer{kind}" for model in _CLASSES
             for kind in ("", "Fast")}
    if not library and name not in known:
        raise CheckpointError(
            f"{folder / _SETTINGS} asks for a {name}, which cuts texts in "
            "another way than BERT's WordPiece: choose another checkpoint, or "
            f"one with a {_LIBRARY}")


def _check_size(number: int, vocab_size: Any, folder: Path) -> None:
    """An embedding may have rows to spare, but not too few."""
    if isinstance(vocab_size, int) and number > vocab_size:
        raise CheckpointError(
            f"{folder} has {number} tokens, but its {_CONFIG} says "
            f"vocab_size {vocab_size}: they belong to different models")


def _added_tokens(folder: Path, library: dict[str, Any],
                  settings: dict[str, Any]
                  ) -> dict[str, tuple[int, dict[str, bool]]]:
    """{token: (id, flags)}, from the first place that says so."""
    decoder = settings.get("added_tokens_decoder") or {}
    rows = library.get("added_tokens") or [
        {"id": i, **token} for i, token in decoder.items()] or [
        {"content": token, "id": i}
        for token, i in _read_optional(folder / _ADDED).items()]
    return {row["content"]: (_id(row["id"]), {
                flag: bool(row.get(flag, usual))
                for flag, usual in _FLAGS.items()})
            for row in rows if row["content"] not in SPECIAL_TOKENS}


def _id(value: Any) -> int:
    """A number, or the decimal digits that a key of JSON is."""
    if type(value) is int or isinstance(value, str) and value.isdecimal():
        return int(value)
    raise TypeError(f"the id {value!r} is no number")


def _with_added(tokens: list[str], added: dict[str, tuple[int, Any]],
                folder: Path) -> list[str]:
    """Tokens and those that are added behind them, by their ids."""
    names = dict(enumerate(tokens))
    for token, (i, _) in added.items():
        if names.setdefault(i, token) != token:
            raise CheckpointError(
                f"{folder} gives the id {i} to {names[i]!r} and to the added "
                f"token {token!r}")
    return _in_order({name: i for i, name in names.items()}, folder)


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path, dict) if path.is_file() else {}


def _lowercase(settings: dict[str, Any]) -> bool:
    """do_lower_case; the other settings have to be those of Google's BERT."""
    lowercase = settings.get("do_lower_case", True)
    if not isinstance(lowercase, bool):
        raise TypeError(f"do_lower_case is {lowercase!r}")
    strip_accents = settings.get("strip_accents")
    if strip_accents not in (None, lowercase):
        raise CheckpointError(
            f"the tokenizer has strip_accents={strip_accents} with "
            f"do_lower_case={lowercase}, but BERT's has both or neither")
    if not settings.get("tokenize_chinese_chars", True):
        raise CheckpointError("the tokenizer has tokenize_chinese_chars="
                              "False, but BERT's splits Chinese characters")
    return lowercase


def _max_length(*limits: Any) -> int | None:
    """The smallest limit that is one."""
    known = [int(limit) for limit in limits
             if isinstance(limit, int | float) and 0 < limit < _ENDLESS]
    return min(known, default=None)
