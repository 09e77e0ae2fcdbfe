"""Reading files in SNLI's format, and where they come from."""

import os
from pathlib import Path

import numpy as np
import pytest
from harness import write_snli

from d2lbert.data import hub
from d2lbert.data.snli import nli_folder, read_snli

# Reading

def test_columns_and_labels(tmp_path):
    write_snli(tmp_path,
          "neutral\t( ( A Man ) ( is ( here . ) ) )\t( He ( is ill ) )\tx",
          "entailment\t( a b )\t( b )\tx", "contradiction\ta (-LRB- b )\tc\t")
    assert read_snli(tmp_path, True) == (
        ["A Man is here .", "a b", "a -LRB- b"], ["He is ill", "b", "c"],
        [2, 0, 1])


@pytest.mark.parametrize("blank", ["\u2028", "\x85", "\x0c", "\x1c", "\r"])
def test_lines_end_at_a_line_feed_only(blank, tmp_path):
    write_snli(tmp_path, f"entailment\ta man{blank}here\tno{blank}woman\t\r",
               f"neutral\tc\td\ta{blank}man")
    assert read_snli(tmp_path, True) == (
        ["a man here", "c"], ["no woman", "d"], [0, 2])


@pytest.mark.parametrize("label, num", [("entailment", 2), ("-", 1)])
def test_a_file_without_a_header_loses_no_pair(label, num, tmp_path):
    write_snli(tmp_path, "neutral\tc\td", head=f"{label}\ta\tb")
    assert len(read_snli(tmp_path, True)[0]) == num


def test_pairs_without_a_label_or_a_sentence_are_counted(tmp_path, capsys):
    write_snli(tmp_path, "-\ta\tb\t", "neutral\ta\tb\t", "joke\ta\tb\t",
          "entailment\ta\t( ( ) )\t")
    assert read_snli(tmp_path, True) == (["a"], ["b"], [2])
    assert capsys.readouterr().out.startswith("skipped 3 of 4 pairs")


def test_each_split_has_its_file(tmp_path):
    for split in ("train", "dev", "test"):
        write_snli(tmp_path, f"neutral\t{split}\tb\t", split=split)
    assert read_snli(tmp_path, True)[0] == ["train"]
    assert read_snli(tmp_path, False)[0] == ["test"]
    assert read_snli(tmp_path, split="dev")[0] == ["dev"]
    with pytest.raises(ValueError, match="unknown split 'valid'"):
        read_snli(tmp_path, split="valid")


def test_a_line_of_too_few_columns_is_named(tmp_path):
    write_snli(tmp_path, "neutral\ta\tb\t", "neutral a b")
    with pytest.raises(ValueError, match="line 3 .* has 1 columns"):
        read_snli(tmp_path, True)


def test_other_encodings_and_missing_files(tmp_path):  # [11]
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_snli(tmp_path, True)
    path = write_snli(tmp_path, "x") / "snli_1.0_train.txt"
    path.write_bytes("head\nneutral\tcafé\tb".encode("latin-1"))
    with pytest.raises(ValueError, match="line 2 .* is not UTF-8"):
        read_snli(tmp_path, True)


@pytest.mark.usefixtures("empty_cache")
def test_mini_nli_is_written_once_and_unknown_names_are_told():
    folder = Path(nli_folder("mini-nli"))
    stamp = (folder / "snli_1.0_dev.txt").stat().st_mtime_ns
    assert nli_folder("mini-nli") == str(folder)
    assert (folder / "snli_1.0_dev.txt").stat().st_mtime_ns == stamp
    assert nli_folder(folder) == str(folder)
    whole = (folder / "snli_1.0_dev.txt").read_bytes()
    (folder / "snli_1.0_dev.txt").write_bytes(whole[:1000])
    assert nli_folder("mini-nli") == str(folder)  # made again
    assert (folder / "snli_1.0_dev.txt").read_bytes() == whole
    with pytest.raises(ValueError, match="unknown corpus 'multinli'"):
        nli_folder("multinli")


@pytest.mark.usefixtures("empty_cache")
def test_no_network_names_mini_nli(monkeypatch):
    monkeypatch.setitem(hub.DATA_HUB, "SNLI",
                        ("http://127.0.0.1:9/snli_1.0.zip", None))
    with pytest.raises(hub.DownloadError, match="corpus='mini-nli'"):
        nli_folder("snli")


@pytest.mark.skipif(not os.environ.get("D2LBERT_DATA"),
                    reason="D2LBERT_DATA names no folder with SNLI")
def test_the_real_test_pairs():
    premises, hypotheses, labels = read_snli(nli_folder("snli"), False)
    assert len(premises) == len(hypotheses) == 9824
    assert np.bincount(labels).tolist() == [3368, 3237, 3219]
