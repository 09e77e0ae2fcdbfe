"""Files from the network: fetched once, checked, unpacked safely."""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import requests
from webserver import names_in, sha1, zipped

from d2lbert.data import hub
from d2lbert.files import SEAL

DEAD = "http://127.0.0.1:9/x.bin"  # the discard port: nobody listens
pytestmark = pytest.mark.usefixtures("empty_cache")


def tarred(members, mode="w:gz"):
    """Bytes of a tar: name -> bytes, or (type, link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                info.type, info.linkname = data
                data = b""
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


# Downloads

def test_a_file_is_fetched_once_and_kept(site, tmp_path):
    site.pages["/a/x.bin"] = b"some data"
    hub.DATA_HUB["x"] = (site.url + "/a/x.bin", sha1(b"some data"))
    paths = {hub.download("x", tmp_path / "data") for _ in range(2)}
    assert paths == {str(tmp_path / "data" / "x.bin")}
    assert Path(*paths).read_bytes() == b"some data"
    assert site.asked == ["/a/x.bin"]


def test_an_address_may_stand_in_for_a_name(site, tmp_path):
    site.pages |= {"/x.bin": b"some data", "/x.bin?raw=1": b"some data"}
    path = hub.download(site.url + "/x.bin?raw=1", tmp_path)
    assert path == str(tmp_path / "x.bin")
    with pytest.raises(hub.DownloadError, match="SHA-1"):
        hub.download(site.url + "/x.bin", tmp_path, sha1(b"other data"))


def test_python_agents_are_refused_but_not_ours(site, tmp_path):
    site.pages["/x.bin"] = b"x"
    assert requests.get(site.url + "/x.bin").status_code == 403
    assert hub.download(site.url + "/x.bin", tmp_path)


def test_mirrors_are_tried_in_order(site, tmp_path):
    site.pages |= {"/1/x": 500, "/2/x": b"changed", "/3/x": b"x", "/4/x": 500}
    urls = tuple(f"{site.url}/{i}/x" for i in range(5))
    hub.DATA_HUB["x"] = (urls, sha1(b"x"))
    assert Path(hub.download("x", tmp_path)).read_bytes() == b"x"
    assert site.asked == ["/0/x", "/1/x", "/2/x", "/3/x"]


def test_a_program_that_names_a_dead_address_gets_the_mirror(
        site, tmp_path, monkeypatch):
    site.pages["/x.bin"] = b"x"
    monkeypatch.setattr(hub, "MIRRORS", {sha1(b"x"): (site.url + "/x.bin",)})
    hub.DATA_HUB["x"] = (DEAD, sha1(b"x"))
    assert Path(hub.download("x", tmp_path)).read_bytes() == b"x"


def test_each_failure_is_named_and_nothing_is_left(
        site, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT", 0.3)
    site.pages |= {"/broken/x.bin": 500, "/changed/x.bin": b"changed",
                   "/cut/x.bin": (1000, b"so"), "/slow/x.bin": (9, b"")}
    reasons = {"/gone": "HTTP status 404", "/broken": "HTTP status 500",
               "/changed": "its SHA-1 is wrong", "/cut": "broken off",
               "/slow": "no answer in 0.3 s"}
    urls = [f"{site.url}{page}/x.bin" for page in reasons] + [DEAD]
    hub.DATA_HUB["x"] = (urls, sha1(b"x"))
    with pytest.raises(hub.DownloadError) as caught:
        hub.download("x", tmp_path / "data")
    message = str(caught.value)
    for url, reason in zip(urls, [*reasons.values(), "no connection"]):
        assert f"{url} ({reason})" in message
    assert "set D2LBERT_DATA to a folder that holds x.bin" in message
    assert str(tmp_path / "data") in message
    assert names_in(tmp_path) == ["data"]


def test_a_cut_download_without_a_hash_is_not_kept(site, tmp_path):
    site.pages["/cut/x.bin"] = (1000, b"so far")
    with pytest.raises(hub.DownloadError, match="broken off"):
        hub.download(site.url + "/cut/x.bin", tmp_path)
    assert names_in(tmp_path) == []


def test_a_killed_download_is_not_trusted(site, tmp_path):
    site.pages["/x.bin"] = (1000, b"so far")
    url = site.url + "/x.bin"
    program = ("import sys; from d2lbert.data import hub; "
               "hub.download(*sys.argv[1:])")
    process = subprocess.Popen(
        [sys.executable, "-c", program, url, str(tmp_path)],
        stderr=subprocess.PIPE)
    assert site.sent.wait(30)
    process.kill()
    assert process.communicate()[1] == b""  # quiet under D2LBERT_BUILD
    assert not (tmp_path / "x.bin").exists()
    site.pages["/x.bin"] = b"the whole"
    assert Path(hub.download(url, tmp_path)).read_bytes() == b"the whole"


def test_a_cached_file_with_a_wrong_hash_is_fetched_again(site, tmp_path):
    site.pages["/x.bin"] = b"right"
    (tmp_path / "x.bin").write_bytes(b"wrong")
    path = hub.download(site.url + "/x.bin", tmp_path, sha1(b"right"))
    assert Path(path).read_bytes() == b"right"


def test_the_data_folder_comes_first(site, tmp_path, monkeypatch):
    monkeypatch.setenv("D2LBERT_DATA", str(tmp_path))
    (tmp_path / "x.bin").write_bytes(b"mine")
    hub.DATA_HUB["x"] = (site.url + "/x.bin", sha1(b"theirs"))
    assert hub.download("x", "elsewhere") == str(tmp_path / "x.bin")
    assert site.asked == []


def test_progress_is_shown_to_people_only(
        site, tmp_path, monkeypatch, capsys):
    site.pages |= {"/1.bin": b"x", "/2.bin": b"x"}
    hub.download(site.url + "/1.bin", tmp_path)
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("D2LBERT_BUILD")
    hub.download(site.url + "/2.bin", tmp_path)
    assert "100%" in capsys.readouterr().err


def test_an_unknown_name_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="'wikitext2'.*wikitext-2, SNLI"):
        hub.download("wikitext2")


# Archives

def offer(site, fname, archive, with_hash=True):
    site.pages["/" + fname] = archive
    hub.DATA_HUB["x"] = (f"{site.url}/{fname}",
                         sha1(archive) if with_hash else None)


@pytest.mark.parametrize("fname, pack", [
    ("x.zip", zipped), ("x.tar.gz", tarred), ("x.tgz", tarred),
    ("x.tar", lambda members: tarred(members, "w"))])
def test_an_archive_is_unpacked_once(site, tmp_path, fname, pack):
    offer(site, fname, pack({"x/a": b"a", "x/y/b": b"b", "other": b"o"}))
    folder = hub.download_extract("x", data_dir=tmp_path)
    assert folder == str(tmp_path / "x")
    assert names_in(tmp_path) == sorted(
        [fname, "x", f"x/{SEAL}", "x/a", "x/y", "x/y/b"])
    assert (tmp_path / "x" / "y" / "b").read_bytes() == b"b"
    (tmp_path / fname).unlink()
    (tmp_path / "x" / "mine").write_bytes(b"")
    hub.download_extract("x", data_dir=tmp_path)
    assert len(site.asked) == 1


@pytest.mark.parametrize("harm, said", [
    (lambda x: (x / "a").write_bytes(b"b"), "a is not as it was written"),
    (lambda x: (x / "a").write_bytes(b""), "a is not as it was written"),
    (lambda x: (x / "y" / "b").unlink(), "y/b is missing"),
    (lambda x: (x / SEAL).write_text("{"), f"{SEAL} is not JSON")])
def test_an_unpacked_folder_that_is_damaged_is_named(
        site, tmp_path, harm, said):
    offer(site, "x.zip", zipped({"x/a": b"a", "x/y/b": b"b"}))
    folder = Path(hub.download_extract("x", data_dir=tmp_path))
    harm(folder)
    with pytest.raises(hub.ArchiveError, match=said) as error:
        hub.download_extract("x", data_dir=tmp_path)
    assert f"{folder} is not what was unpacked" in str(error.value)
    shutil.rmtree(folder)
    assert hub.download_extract("x", data_dir=tmp_path) == str(folder)


def test_a_folder_that_somebody_else_unpacked_is_taken_as_it_is(
        site, tmp_path):
    offer(site, "x.zip", zipped({"x/a": b"a"}))
    (tmp_path / "x").mkdir()
    assert hub.download_extract("x", data_dir=tmp_path) == str(tmp_path / "x")
    assert not site.asked


def test_a_folder_in_the_archive_can_be_named(site, tmp_path):
    offer(site, "x-v1.zip", zipped({"x/": b"", "x/a": b"a"}))
    path = hub.download_extract("x", "x", tmp_path)
    assert path == str(tmp_path / "x")
    with pytest.raises(hub.ArchiveError, match=r"no folder 'z', only \['x'"):
        hub.download_extract("x", "z", tmp_path)


LINK = 0o120777
OUT = "../../evil"
HOSTILE = {
    "zip slip": zipped({"x/../../evil": b"!"}),
    "zip absolute": zipped({"/evil": b"!"}),
    "zip drive": zipped({"C:/evil": b"!"}),
    "zip backslash": zipped({"x\\..\\..\\evil": b"!"}),
    "zip link": zipped({"x/link": (b"../..", LINK), "x/link/evil": b"!"}),
    "tar slip": tarred({"x/../../evil": b"!"}),
    "tar absolute": tarred({"/evil": b"!"}),
    "tar link": tarred({"x/link": (tarfile.SYMTYPE, "../.."),
                        "x/link/evil": b"!"}),
    "tar hard link": tarred({"x/link": (tarfile.LNKTYPE, OUT)}),
    "tar device": tarred({"x/null": (tarfile.CHRTYPE, "")}),
    "tar pipe": tarred({"x/pipe": (tarfile.FIFOTYPE, "")}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused(site, tmp_path, case):
    fname = "x.zip" if case.startswith("zip") else "x.tar.gz"
    offer(site, fname, HOSTILE[case])
    with pytest.raises(hub.ArchiveError, match="link, a device or a path"):
        hub.download_extract("x", data_dir=tmp_path / "a" / "b")
    assert names_in(tmp_path) == ["a", "a/b", f"a/b/{fname}"]


@pytest.mark.parametrize("fname, pack",
                         [("x.zip", zipped), ("x.tar.gz", tarred)])
def test_an_archive_has_limits(site, tmp_path, monkeypatch, fname, pack):
    offer(site, fname, pack({"x/1": bytes(600), "x/2": bytes(600)}))
    monkeypatch.setattr(hub, "MAX_BYTES", 1199)
    with pytest.raises(hub.ArchiveError, match="more than 1199 bytes"):
        hub.download_extract("x", data_dir=tmp_path)
    monkeypatch.setattr(hub, "MAX_BYTES", 1200)
    monkeypatch.setattr(hub, "MAX_MEMBERS", 1)
    with pytest.raises(hub.ArchiveError, match="more than 1 members"):
        hub.download_extract("x", data_dir=tmp_path)
    assert names_in(tmp_path) == [fname]
    monkeypatch.setattr(hub, "MAX_MEMBERS", 2)
    assert hub.download_extract("x", data_dir=tmp_path)


def flip(data, index):
    """The bytes with one of them changed."""
    data = bytearray(data)
    data[index] ^= 0xFF
    return bytes(data)


MEMBERS = {"x/1": os.urandom(2000), "x/2": os.urandom(2000)}
DAMAGED = {
    "cut.zip": zipped(MEMBERS)[:-30],
    "flipped.zip": flip(zipped(MEMBERS), 100),
    "page.zip": b"<html>not found</html>",
    "cut.tar.gz": tarred(MEMBERS)[:-30],
    "flipped.tar.gz": flip(tarred(MEMBERS), -100),
    # The second header is broken, which tarfile takes for the end.
    "header.tar.gz": flip(gzip.compress(flip(tarred(MEMBERS, "w"), 2600)), -8),
    "cut.tar": tarred(MEMBERS, "w")[:1000],
    "page.tar.gz": b"<html>not found</html>",
}


@pytest.mark.parametrize("fname", DAMAGED)
def test_a_damaged_archive_is_an_error(site, tmp_path, fname):
    offer(site, fname, DAMAGED[fname], with_hash=False)
    with pytest.raises(hub.ArchiveError, match="delete or replace it"):
        hub.download_extract("x", "x", tmp_path)
    assert names_in(tmp_path) == [fname]


def test_two_at_once_leave_one_whole_folder(site, tmp_path, monkeypatch):
    offer(site, "x.zip", zipped({"x/a": b"a"}))
    move = os.replace

    def move_second(source, target):
        """Another process moves its folder just before."""
        if target == tmp_path / "x":
            (target / "theirs").mkdir(parents=True)
        move(source, target)

    monkeypatch.setattr(hub.os, "replace", move_second)
    assert hub.download_extract("x", data_dir=tmp_path)
    assert names_in(tmp_path) == ["x", "x.zip", "x/theirs"]
