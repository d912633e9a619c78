"""One background thread syncs every file, and never uses a descriptor that its owner let go."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from recordings.syncing import SyncedFile

if TYPE_CHECKING:
    from pathlib import Path


def opened(path: Path) -> SyncedFile:
    return SyncedFile(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))


def settled(file: SyncedFile) -> None:
    while file._asked or file._busy.locked():
        os.sched_yield()


def test_many_files_share_one_thread(tmp_path: Path) -> None:
    files = [opened(tmp_path / str(number)) for number in range(20)]
    for file in files:
        file.write(b"x" * 100)
        file.ask()
    for file in files:
        settled(file)
        assert file.synced == 100
        file.check()
        file.close()
    assert [thread.name for thread in threading.enumerate()].count("syncing") == 1


def test_what_is_on_disk_is_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(tmp_path / "a")
    file.write(b"x")
    file.sync()
    monkeypatch.setattr(os, "fdatasync", lambda _: pytest.fail("synced for nothing"))
    file.ask()
    settled(file)
    file.check()
    file.close()


def test_a_file_that_was_closed_before_its_turn_is_let_be(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "a"), opened(tmp_path / "b")
    with first._busy:  # the thread waits here
        first.write(b"x")
        first.ask()
        second.write(b"x")
        second.ask()
        second.close()
        reused = os.open(tmp_path / "c", os.O_WRONLY | os.O_CREAT)
    settled(first)
    settled(second)
    first.check()
    second.check()
    assert (first.synced, second.synced) == (1, 0)
    first.close()
    os.close(reused)


def test_a_failing_descriptor_is_told_to_its_owner(tmp_path: Path) -> None:
    file = opened(tmp_path / "a")
    file.write(b"x")
    os.close(file._fd)  # behind its back
    file.ask()
    settled(file)
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.check()
