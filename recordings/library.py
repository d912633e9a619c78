"""All recordings under one root: list them, find one by its session, read it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from recordings.asciicast import decode_event, decode_header
from recordings.errors import RecordingUnreadable
from recordings.writer import SUFFIX, is_session_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recordings.asciicast import Event

_PLACE = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording file, its header read; events are read from it each time they are asked for."""

    session_id: str
    path: Path
    header: dict[str, Any]

    def events(self) -> Iterator[Event]:
        """Every event. A line still being written ends it; a bad line in the middle raises."""
        with self.path.open("rb") as file:
            for line in islice(file, 1, None):
                if not line.endswith(b"\n"):
                    return
                yield decode_event(line)


class Library:
    """The recordings under `root`, as the writer lays them out."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self) -> list[str]:
        """The session id of every recording, latest day first."""
        paths = sorted(self._root.glob(f"{_PLACE}*{SUFFIX}"), reverse=True)
        return [path.name.removesuffix(SUFFIX) for path in paths]

    def find(self, session_id: str) -> Path | None:
        """The file of one session's recording."""
        if not is_session_id(session_id):
            return None
        return next(self._root.glob(f"{_PLACE}{session_id}{SUFFIX}"), None)

    def open(self, session_id: str) -> Recording:
        """One session's recording, ready to be read."""
        path = self.find(session_id)
        if path is None:
            msg = "there is no recording of this session"
            raise RecordingUnreadable(msg)
        return read(path)


def read(path: Path) -> Recording:
    """A recording file, wherever it lies."""
    try:
        with path.open("rb") as file:
            header = decode_header(file.readline())
    except OSError as error:
        msg = f"the recording cannot be read: {error.strerror}"
        raise RecordingUnreadable(msg) from error
    return Recording(path.name.removesuffix(SUFFIX), path, header)
