"""Texts to pretrain on: WikiText-2, mini-wiki, one's own."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from webserver import names_in, sha1, zipped

from d2lbert.data import corpora, hub
from d2lbert.data.corpora import load_corpus
from d2lbert.data.vocab import Vocab

REAL_DATA = os.environ.get("D2LBERT_DATA")

pytestmark = pytest.mark.usefixtures("empty_cache")


TRAIN = """
 = Crane = \n \n A crane is flying . It is a Bird . \n
 The crane driver came . \n
 One <unk> more . And another . The third \n"""
VALID = " Held out . Also this . \n \n"
FILES = {"wikitext-2/wiki.train.tokens": TRAIN.encode(),
         "wikitext-2/wiki.valid.tokens": VALID.encode()}
PARAGRAPHS = [
    [["a", "crane", "is", "flying"], ["it", "is", "a", "bird", "."]],
    [["the", "crane", "driver", "came", "."]],
    [["one", "<unk>", "more"], ["and", "another"], ["the", "third"]],
]


@pytest.fixture
def small_wikitext(monkeypatch):
    monkeypatch.setattr(corpora, "WIKITEXT2_SIZE", {
        "wiki.train.tokens": (8, 35), "wiki.valid.tokens": (2, 8)})
    return zipped(FILES)


def test_wikitext_is_downloaded_into_the_cache(
        site, small_wikitext, tmp_path):
    site.pages["/wikitext-2-v1.zip"] = small_wikitext
    hub.DATA_HUB["wikitext-2"] = (
        ("http://127.0.0.1:9/wikitext-2-v1.zip",
         site.url + "/wikitext-2-v1.zip"), sha1(small_wikitext))
    for _ in range(2):
        corpus = load_corpus()
    assert corpus.name == "wikitext-2"
    assert corpus.train == PARAGRAPHS
    assert corpus.held_out == [[["held", "out"], ["also", "this", "."]]]
    assert len(site.asked) == 1
    assert (tmp_path / "cache" / "wikitext-2").is_dir()


@pytest.mark.parametrize("unpacked", [False, True])
def test_wikitext_from_the_data_folder(
        tmp_path, monkeypatch, small_wikitext, unpacked):
    data = tmp_path / "data"
    data.mkdir()
    (data / "wikitext-2-v1.zip").write_bytes(small_wikitext)
    if unpacked:
        zipfile.ZipFile(io.BytesIO(small_wikitext)).extractall(data)
        (data / "wikitext-2-v1.zip").write_bytes(b"never opened")
    before = names_in(data)
    monkeypatch.setenv("D2LBERT_DATA", str(data))
    assert load_corpus("wikitext-2").train == PARAGRAPHS
    assert names_in(data) == before


def test_another_archive_in_the_data_folder_is_another_corpus(
        tmp_path, monkeypatch, small_wikitext):
    monkeypatch.setenv("D2LBERT_DATA", str(tmp_path))
    archive = tmp_path / "wikitext-2-v1.zip"
    archive.write_bytes(small_wikitext)
    load_corpus()
    archive.write_bytes(zipped(FILES | {
        "wikitext-2/wiki.train.tokens": TRAIN.replace("A", "The").encode()}))
    assert load_corpus().train[0][0][0] == "the"


def test_other_content_under_wikitexts_name_is_an_error(
        tmp_path, monkeypatch):
    monkeypatch.setenv("D2LBERT_DATA", str(tmp_path))
    (tmp_path / "wikitext-2-v1.zip").write_bytes(zipped(FILES))
    with pytest.raises(ValueError) as caught:
        load_corpus()
    for text in ("8 lines", "35 tokens", "36,718", "2,088,628"):
        assert text in str(caught.value)


def test_missing_part_of_wikitext(tmp_path, monkeypatch):
    (tmp_path / "wikitext-2").mkdir()
    monkeypatch.setenv("D2LBERT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="wiki.train.tokens"):
        load_corpus()


def test_without_network_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LBERT_DATA", str(tmp_path))
    urls = tuple(f"http://127.0.0.1:9/{i}/wikitext-2-v1.zip" for i in (1, 2))
    hub.DATA_HUB["wikitext-2"] = (urls, None)
    with pytest.raises(hub.DownloadError) as caught:
        load_corpus()
    for text in (str(tmp_path), *urls, "corpus='mini-wiki'"):
        assert text in str(caught.value)


def test_the_real_wikitext(monkeypatch):
    if not (REAL_DATA and any(
            Path(REAL_DATA, name).exists()
            for name in ("wikitext-2", "wikitext-2-v1.zip"))):
        pytest.skip("D2LBERT_DATA names no folder with WikiText-2")
    monkeypatch.setenv("D2LBERT_DATA", REAL_DATA)
    corpus = load_corpus("wikitext-2")
    assert len(corpus.train) == 15_496
    sentences = [s for paragraph in corpus.train for s in paragraph]
    assert all(sentences)
    vocab = Vocab(sentences, min_freq=5,
                  reserved_tokens=["<pad>", "<mask>", "<cls>", "<sep>"])
    assert len(vocab) == 20_256


def write(path, lines, **kwargs):
    path.write_text("".join(lines), encoding="utf-8", **kwargs)
    return path


def test_the_end_of_a_text_file_is_held_out(tmp_path):
    lines = [f"Line {i} . It ends .\n" for i in range(100)]
    path = write(tmp_path / "my.txt", ["one sentence . \n", "title\n", *lines])
    corpus = load_corpus(path)
    assert corpus.train[0] == [["line", "0"], ["it", "ends", "."]]
    assert [p[0][1] for p in corpus.held_out] == [
        str(i) for i in range(95, 100)]
    assert len(corpus.train) == 95
    assert load_corpus(str(path)) == corpus


def test_a_few_paragraphs_are_enough_and_signs_are_read_as_utf_8(tmp_path):
    lines = ["\ufeff", *["Été . Ünd .  . so\r\n"] * 4]
    path = write(tmp_path / "my.tokens", lines)
    corpus = load_corpus(path)
    assert corpus.train == corpus.held_out == [[["été"], ["ünd"], ["so"]]] * 2


@pytest.mark.parametrize("content, message", [
    (b"", "has 0 paragraphs"),
    (b"a . b\n" * 3 + b"c . \n" * 9, "has 3 paragraphs"),
    (b"Ordinary text. Of two.\n" * 9, "has 0 paragraphs"),
    ("a . b\n\nc . é\n".encode("latin-1"), "line 3 of .* is not UTF-8"),
    ("a . b\n".encode("utf-16"), "line 1 of .* is not UTF-8")])
def test_a_text_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "my.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_corpus(path)


def test_a_missing_file_and_an_unknown_name(tmp_path):
    for path in (tmp_path / "no.txt", str(tmp_path), "no.tokens"):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            load_corpus(path)
    with pytest.raises(ValueError, match="'mini_wiki'.*'mini-wiki'.*path"):
        load_corpus("mini_wiki")


def test_no_held_out_sentence_of_mini_wiki_is_in_its_training_text():
    corpus = load_corpus("mini-wiki")
    train, held_out = ({tuple(s) for paragraph in part for s in paragraph}
                       for part in (corpus.train, corpus.held_out))
    assert not train & held_out and len(held_out) > 2000
    words = {word for s in train for word in s}
    assert all(words.issuperset(s) for s in held_out)


def test_the_bundled_mini_wiki_needs_no_network():
    corpus = load_corpus("mini-wiki")
    assert len(corpus.train) == corpora.TRAIN_PARAGRAPHS
    assert len(corpus.held_out) == corpora.HELD_OUT_PARAGRAPHS
    for paragraph in corpus.train + corpus.held_out:
        assert len(paragraph) >= 2 and all(paragraph)


def test_who_changes_mini_wiki_changes_it_for_nobody_else():
    """It is written once a process."""
    corpus, again = load_corpus("mini-wiki"), load_corpus("mini-wiki")
    assert again == corpus
    again.train[0][0][0] = "?"
    del again.train[0][1:], again.held_out[1:]
    assert load_corpus("mini-wiki") == corpus != again
