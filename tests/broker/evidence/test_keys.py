"""The log's key on disk: made once, private, and never replaced behind anyone's back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.errors import EvidenceFailure
from broker.evidence.keys import load_or_create, load_public
from broker.evidence.note import NoteError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = load_or_create(tmp_path / "keys", "interlock/a")
    again = load_or_create(tmp_path / "keys", "another name")
    assert again.verifier == made.verifier == load_public(tmp_path / "keys")
    assert (tmp_path / "keys/log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys/log.pub").read_text() == f"{made.verifier}\n"
    assert "PRIVATE" not in repr(made) + str(made)


def test_a_key_that_others_may_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    load_or_create(tmp_path, "a")
    (tmp_path / "log").chmod(0o640)
    with pytest.raises(EvidenceFailure, match="chmod 600"):
        load_or_create(tmp_path, "a")


def test_a_lost_private_key_is_not_replaced(tmp_path: Path) -> None:
    load_or_create(tmp_path, "a")
    (tmp_path / "log").unlink()
    with pytest.raises(EvidenceFailure, match="restore"):
        load_or_create(tmp_path, "a")
    assert not (tmp_path / "log").exists()


def test_a_crash_before_the_public_line_was_written_is_mended(tmp_path: Path) -> None:
    made = load_or_create(tmp_path, "a")
    (tmp_path / "log.pub").unlink()
    assert load_or_create(tmp_path, "a").verifier == made.verifier


@pytest.mark.parametrize("name", ["log", "log.pub"])
@pytest.mark.parametrize("content", [b"", b"junk", b"\xff\n"])
def test_a_damaged_key_is_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    load_or_create(tmp_path, "a")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EvidenceFailure, match="cannot be used"):
        load_or_create(tmp_path, "a")


def test_keys_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path / "a", "a")
    load_or_create(tmp_path / "b", "a")
    (tmp_path / "a/log.pub").write_bytes((tmp_path / "b/log.pub").read_bytes())
    with pytest.raises(EvidenceFailure, match="belong together"):
        load_or_create(tmp_path / "a", "a")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    load_or_create(tmp_path / "a", "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/log").symlink_to(tmp_path / "a/log")
    with pytest.raises(EvidenceFailure):
        load_or_create(tmp_path / "b", "a")


def test_a_public_line_without_its_end_is_cut_off(tmp_path: Path) -> None:
    load_or_create(tmp_path, "a")
    path = tmp_path / "log.pub"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NoteError):
        load_public(tmp_path)
