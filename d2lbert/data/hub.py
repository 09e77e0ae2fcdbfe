"""Files from the network: fetched once, checked, unpacked safely (d2l 5.7).

A file is looked for in the folder that D2LBERT_DATA names, then in the cache
and then at its addresses, one after the other. The folder in D2LBERT_DATA is
only read. Downloads and unpacked archives get their final name in one move,
so that an interrupted or simultaneous run leaves nothing half-written.
"""

import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO
from urllib.parse import urlsplit

import pooch

from d2lbert import __version__
from d2lbert.files import damage, draft_of, seal

DATA_URL = "http://d2l-data.s3-accelerate.amazonaws.com/"
# name -> (address or tuple of addresses, sha1 or None); add your own entries
DATA_HUB: dict[str, tuple[str | Sequence[str], str | None]] = {
    "wikitext-2": (
        ("https://wikitext.smerity.com/wikitext-2-v1.zip",
         ("https://s3.amazonaws.com/research.metamind.io/wikitext/"
          "wikitext-2-v1.zip")),
        "3c914d17d80b1459be871a5039ac23e752a53cbe"),
    "SNLI": ("https://nlp.stanford.edu/projects/snli/snli_1.0.zip",
             "9fcde07509c7e87ec61c640c1b2753d9041758e4"),
    "bert.base": (DATA_URL + "bert.base.torch.zip",
                  "225d66f04cae318b841a13d32af3acc165f253ac"),
    "bert.small": (DATA_URL + "bert.small.torch.zip",
                   "c72329e68a732bef0452e4b96a1c341c8910f81f"),
    "bert.base.mxnet": (DATA_URL + "bert.base.zip",
                        "7b3820b35da691042e5d34c0971ac3edbd80d3f4"),
    "bert.small.mxnet": (DATA_URL + "bert.small.zip",
                         "a4e718a47137ccd1809c9107ab4f5edd317bae2c"),
}
# d2l's programs write entries of their own, with addresses that are dead by
# now: the SHA-1 leads to the living ones.
MIRRORS = {DATA_HUB["wikitext-2"][1]: DATA_HUB["wikitext-2"][0]}
TIMEOUT = 30  # seconds without an answer, or without the next bytes of it
MAX_BYTES = 4 * 2**30  # of an archive, unpacked
MAX_MEMBERS = 200_000
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
# What zipfile, tarfile and gzip raise for damage of all kinds.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError,
           OSError, ValueError, RuntimeError)
_Members = Iterator[tuple[str, bool, IO[bytes] | None]]

# pooch reports every download on stderr, where notebooks would keep it.
pooch.get_logger().setLevel("WARNING")


class DownloadError(OSError):
    """A file is nowhere on this machine and no address gave it."""


class ArchiveError(OSError):
    """An archive is damaged, unsafe to unpack or holds something else."""


def cache_dir() -> Path:
    """The cache folder: D2LBERT_CACHE, or the system's usual place."""
    folder = os.environ.get("D2LBERT_CACHE") or pooch.os_cache("d2lbert")
    return Path(folder).expanduser()


def download(name_or_url: str, folder: str | Path = "../data",
             sha1_hash: str | None = None) -> str:
    """Fetch a file unless it is here already.

    A file in D2LBERT_DATA is taken as it is. One in `folder` is used if its
    SHA-1 is right (or none is known) and fetched again otherwise.

    Args:
        name_or_url: a name in DATA_HUB or an http(s) address.
        folder: where to keep the file.
        sha1_hash: the file's SHA-1 in hex; DATA_HUB has it for its names.

    Returns:
        The file's path, a str.

    Raises:
        ValueError: for a name that is not in DATA_HUB.
        DownloadError: if no address gives the file with the right SHA-1.
    """
    fname, urls, sha1_hash = _entry(name_or_url, sha1_hash)
    given = _given(fname)
    if given:
        return str(given)
    import requests  # slow, and whoever has the data does not need it
    failures = []
    for url in urls:
        try:
            return _fetch(url, fname, folder, sha1_hash)
        except (requests.RequestException, ValueError) as error:
            failures.append(f"{url} ({_reason(error)})")
    raise DownloadError(
        f"no good copy of {fname} in D2LBERT_DATA "
        f"({os.environ.get('D2LBERT_DATA') or 'not set'}) or in {folder}, "
        f"and none fetched from {', '.join(failures)}: set D2LBERT_DATA to "
        f"a folder that holds {fname}")


def download_extract(name: str, folder: str | None = None,
                     data_dir: str | Path = "../data") -> str:
    """Fetch and unpack a zip or tar archive unless that is done already.

    An unpacked folder or an archive in D2LBERT_DATA comes first; such an
    archive is unpacked into the cache, under its own SHA-1.

    Args:
        name: a name in DATA_HUB or an http(s) address.
        folder: the folder in the archive; by default the archive's name
            without its suffix.
        data_dir: where to keep archive and folder.

    Returns:
        The unpacked folder's path, a str.

    Raises:
        ValueError: for a name that is not in DATA_HUB, or no archive.
        DownloadError: as `download`.
        ArchiveError: if the archive is damaged, has no such folder, or holds
            links, devices, paths that leave it or too much; or if the folder
            is no longer what was unpacked.
    """
    fname = _entry(name)[0]
    folder = folder or _stem(fname)
    given, archive = _given(folder), _given(fname)
    if given:
        return str(given)
    if archive:
        data_dir = cache_dir() / pooch.file_hash(archive, "sha1")[:12]
    target = Path(data_dir, folder)
    if not target.is_dir():
        source = archive or download(name, data_dir)
        try:
            _unpack(source, folder, target)
        except OSError:
            if not target.is_dir():  # or else another process was quicker
                raise
    if harm := damage(target):
        raise ArchiveError(f"{target} is not what was unpacked ({harm}): "
                           "delete the folder to unpack it again")
    return str(target)


def _entry(name_or_url: str, sha1_hash: str | None = None
           ) -> tuple[str, Sequence[str], str | None]:
    """File name, list of addresses and SHA-1 of a name or an address."""
    urls: str | Sequence[str] = name_or_url
    if not name_or_url.startswith(("http://", "https://")):
        if name_or_url not in DATA_HUB:
            raise ValueError(
                f"{name_or_url!r} is neither an http(s) address nor a name "
                f"in DATA_HUB: {', '.join(DATA_HUB)}")
        urls, sha1_hash = DATA_HUB[name_or_url]
    urls = [urls] if isinstance(urls, str) else urls
    urls = list(dict.fromkeys([*urls, *MIRRORS.get(sha1_hash, ())]))
    fname = PurePosixPath(urlsplit(urls[0]).path).name
    if fname in ("", ".."):
        raise ValueError(f"the address {urls[0]} names no file")
    return fname, urls, sha1_hash


def _given(name: str) -> Path | None:
    """The path of `name` in D2LBERT_DATA, None if it is not there."""
    folder = os.environ.get("D2LBERT_DATA")
    path = Path(folder or "", name).expanduser()
    return path if folder and path.exists() else None


def _fetch(url: str, fname: str, folder: str | Path, sha1_hash: str | None
           ) -> str:
    # Some hosts turn away the agents that HTTP libraries name by default.
    # "identity" keeps .tar.gz as it is: its SHA-1 is that of the packed file.
    agent = f"Mozilla/5.0 (compatible; d2lbert/{__version__})"
    headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
    get = pooch.HTTPDownloader(
        progressbar=not os.environ.get("D2LBERT_BUILD"), chunk_size=2**16,
        timeout=TIMEOUT, headers=headers)
    return pooch.retrieve(url, sha1_hash and f"sha1:{sha1_hash}", fname,
                          folder, downloader=get)


def _reason(error: Exception) -> str:
    import requests
    if not isinstance(error, requests.RequestException):
        return "its SHA-1 is wrong"  # pooch's ValueError
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if "timed out" in str(error):
        return f"no answer in {TIMEOUT} s"
    return "broken off" if "Incomplete" in str(error) else "no connection"


def _stem(fname: str) -> str:
    for suffix in _SUFFIXES:
        if fname.endswith(suffix):
            return fname.removesuffix(suffix)
    raise ValueError(f"{fname} is no archive ({', '.join(_SUFFIXES)})")


def _unpack(archive: str | Path, folder: str, target: Path) -> None:
    """Unpack an archive and move the `folder` in it to `target`."""
    with draft_of(target) as draft:
        scratch = draft.with_name("unpacked")
        scratch.mkdir()
        try:
            _write_members(archive, scratch)
        except _DAMAGE as error:
            raise ArchiveError(
                f"{archive} cannot be unpacked ({str(error) or repr(error)}): "
                "delete or replace it") from error
        if not Path(scratch, folder).is_dir():
            raise ArchiveError(
                f"{archive} holds no folder {folder!r}, only "
                f"{sorted(os.listdir(scratch))[:5]}")
        os.replace(Path(scratch, folder), draft)
        seal(draft)


def _write_members(archive: str | Path, folder: Path) -> None:
    is_zip = str(archive).endswith(".zip")
    members = (_zip_members if is_zip else _tar_members)(archive)
    room = MAX_BYTES
    for count, (name, is_plain, source) in enumerate(members, 1):
        # A Windows path knows drives, the root and both kinds of slash.
        path = PureWindowsPath(name)
        if not is_plain or path.anchor or ".." in path.parts:
            raise ValueError(f"{name!r} is a link, a device or a path that "
                             "leaves the folder")
        if count > MAX_MEMBERS:
            raise ValueError(f"it has more than {MAX_MEMBERS} members")
        target = Path(folder, name)
        (target.parent if source else target).mkdir(
            parents=True, exist_ok=True)
        if source:
            with source, open(target, "wb") as file:
                room = _copy(source, file, room)


def _copy(source: IO[bytes], file: IO[bytes], room: int) -> int:
    """Copy up to `room` bytes; return how much room is left."""
    while block := source.read(2**20):
        room -= len(block)
        if room < 0:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
        file.write(block)
    return room


def _zip_members(archive: str | Path) -> _Members:
    """Yield name, whether plain, and a stream (None for a folder)."""
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            yield (info.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR),
                   None if info.is_dir() else file.open(info))


def _tar_members(archive: str | Path) -> _Members:
    """The same for tar, read in one pass from the first byte to the last."""
    raw = open if str(archive).endswith(".tar") else gzip.open
    with raw(archive, "rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|") as file:
            for info in file:
                yield (info.name, info.isreg() or info.isdir(),
                       file.extractfile(info) if info.isreg() else None)
        # tarfile stops at the first odd header; gzip's checksum comes last.
        while stream.read(2**20):
            pass
