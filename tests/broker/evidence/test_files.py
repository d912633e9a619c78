"""Opening what somebody may have been at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from broker.evidence.files import listed, open_plain

if TYPE_CHECKING:
    from pathlib import Path


def test_listing_finds_files_and_links_but_no_folders(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/file").write_bytes(b"")
    (tmp_path / "a/link").symlink_to(tmp_path)
    (tmp_path / "a/loose").symlink_to("nowhere")
    assert sorted(listed(tmp_path)) == ["a/file", "a/link", "a/loose"]
    assert listed(tmp_path / "nowhere") == []


def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with open_plain(tmp_path / "file") as file:
        assert file.read() == b"x"
    for name in ("link", "pipe", ".", "nowhere"):
        with pytest.raises(OSError, match=r"."):
            open_plain(tmp_path / name)
