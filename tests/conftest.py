"""Fixtures that several files of tests use."""

import pytest
from webserver import site  # noqa: F401

from d2lbert.data import hub


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """No data folder, an empty cache, no progress bar, no proxy."""
    monkeypatch.delenv("D2LBERT_DATA", raising=False)
    monkeypatch.setenv("D2LBERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("D2LBERT_BUILD", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(hub, "DATA_HUB", dict(hub.DATA_HUB))
    monkeypatch.setattr(hub, "MIRRORS", {})
