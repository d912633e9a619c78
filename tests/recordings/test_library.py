"""Finding recordings: by session id only, and never outside the root."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from recordings.errors import RecordingUnreadable
from recordings.library import Library
from recordings.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path


def record(root: Path, session_id: str, day: int, text: bytes = b"hello") -> Writer:
    header = {"width": 80, "height": 24, "interlock": {"session": session_id}}
    started = datetime(2026, 1, day, tzinfo=UTC)
    writer = Writer.create(root, session_id, header, started, lambda *_: None, lambda: 0.0)
    writer.output(text)
    return writer


def test_recordings_are_listed_latest_day_first_and_opened_by_session(tmp_path: Path) -> None:
    for session_id, day in (("a", 1), ("c", 3), ("b", 2)):
        record(tmp_path, session_id, day).close("ended", 0)
    library = Library(tmp_path)
    assert library.list() == ["c", "b", "a"]
    recording = library.open("b")
    assert recording.header["interlock"] == {"session": "b"}
    assert [event.code for event in recording.events()] == ["o", "x"]


def test_a_recording_still_being_written_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    writer = record(tmp_path, "a", 1)
    with writer.path.open("ab") as file:
        file.write(b'[1.0, "o", "ha')
    assert [event.data for event in Library(tmp_path).open("a").events()] == ["hello"]
    writer.abandon()


@pytest.mark.parametrize("session_id", ["nobody", "../a", "*", "?", "a/../a", ""])
def test_what_is_not_a_session_of_ours_is_not_found(tmp_path: Path, session_id: str) -> None:
    record(tmp_path, "a", 1).close("ended", 0)
    library = Library(tmp_path)
    assert library.find(session_id) is None
    with pytest.raises(RecordingUnreadable):
        library.open(session_id)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    writer = record(tmp_path, "a", 1)
    writer.abandon()
    writer.path.write_bytes(b"junk\n")
    with pytest.raises(RecordingUnreadable):
        Library(tmp_path).open("a")
