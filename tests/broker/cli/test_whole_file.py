"""A file is replaced as a whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.cli import whole_file

if TYPE_CHECKING:
    from pathlib import Path


def test_the_new_one_is_whole_and_has_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with file.open("rb") as reader:
        whole_file.write(file, b"new", 0o640)
        assert reader.read() == b"old", "who has it open keeps the old one"
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_the_old_one_and_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.mkdir()
    with pytest.raises(OSError, match="file"):
        whole_file.write(file, b"new", 0o644)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
