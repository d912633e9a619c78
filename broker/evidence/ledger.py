"""What the log says of recordings, entry by entry, and whether the files still agree."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from broker.evidence.files import open_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from hashlib import _Hash
    from io import BufferedReader
    from pathlib import Path

INTERRUPTED = "interrupted"  # closed by the next start, by a hash over the whole file

_FILE = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[A-Za-z0-9][A-Za-z0-9_-]*\.cast")
_BLOCK = 1 << 20


@dataclass
class Story:
    """One recording as the log tells it: where it lies, its chunks, how it ended."""

    sid: str
    file: str
    chunks: list[tuple[int, str]] = field(default_factory=list)  # length, sha256
    size: int | None = None
    sha256: str = ""
    status: str = ""
    session_closed: bool = False

    @property
    def covered(self) -> int:
        """How many bytes from the beginning the chunks speak for."""
        return sum(length for length, _ in self.chunks)


class Ledger:
    """The recordings of a log. `problems` collects what cannot be true."""

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.problems: list[str] = []

    def read(self, entry: dict[str, Any]) -> None:
        """Take note of an entry, if it is about a recording."""
        sid: Any = entry.get("sid")
        kind: str = entry["type"]
        if kind == "session.closed" and sid in self.stories:
            self.stories[sid].session_closed = True
        if not kind.startswith("recording."):
            return
        try:
            self._note(kind, sid, entry["rec"])
        except (KeyError, TypeError, ValueError):
            self.problems.append(f"entry {entry['seq']} tells nothing possible of a recording")

    def unclosed(self) -> list[Story]:
        """Recordings that were opened and never closed."""
        return [story for story in self.stories.values() if story.size is None]

    def compare(self, root: Path, files: Iterable[str]) -> Iterator[str]:
        """What is wrong with the recordings in `root`; `files` was listed before the log was read.

        In that order a file that a running broker has just begun is no false alarm: its event is
        in the log before the file exists.
        """
        yield from self.problems
        known = {story.file for story in self.stories.values()}
        for name in sorted(set(files) - known):
            yield f"recordings/{name}: the log knows no such file"
        for story in self.stories.values():
            for problem in _file_problems(root / story.file, story):
                yield f"recordings/{story.file}: {problem}"

    def _note(self, kind: str, sid: str, rec: dict[str, Any]) -> None:
        if kind == "recording.opened":
            if sid in self.stories or _FILE.fullmatch(rec["file"]) is None:
                raise ValueError(sid)
            self.stories[sid] = Story(sid, rec["file"])
            return
        story = self.stories[sid]
        if story.size is not None:
            raise ValueError(sid)
        if kind == "recording.chunk":
            place = (len(story.chunks), story.covered)
            if (rec["n"], rec["off"]) != place or rec["len"] <= 0:
                raise ValueError(sid)
            story.chunks.append((rec["len"], rec["sha256"]))
        elif kind == "recording.close":
            if rec["file"] != story.file or rec["bytes"] < story.covered:
                raise ValueError(sid)
            story.size, story.sha256, story.status = rec["bytes"], rec["sha256"], rec["status"]


def _file_problems(path: Path, story: Story) -> Iterator[str]:
    try:
        with open_plain(path) as file:
            yield from _content_problems(file, story)
    except OSError as error:
        # Opened in the log, then never begun: the disk refused, or the broker died in between.
        if not isinstance(error, FileNotFoundError) or story.chunks or story.size:
            yield f"cannot be read: {error.strerror}"


def _content_problems(file: BufferedReader, story: Story) -> Iterator[str]:
    whole = hashlib.sha256()
    for number, (length, sha256) in enumerate(story.chunks):
        if _hash(file, length, whole)[1] != sha256:
            yield f"chunk {number} is not what was recorded"
            return
    rest, _ = _hash(file, None, whole)
    if story.size is None:
        if story.session_closed:
            yield "its session is closed, but the recording never was"
    elif (story.covered + rest, whole.hexdigest()) != (story.size, story.sha256):
        yield "is not the file that was closed"
    elif rest and story.status != INTERRUPTED:
        yield "ends with bytes that no chunk covers"


def _hash(file: BufferedReader, length: int | None, whole: _Hash) -> tuple[int, str]:
    """How many bytes came, at most `length`, and their hash; `whole` takes them too."""
    part, count = hashlib.sha256(), 0
    while length is None or count < length:
        data = file.read(_BLOCK if length is None else min(length - count, _BLOCK))
        if not data:
            break
        part.update(data)
        whole.update(data)
        count += len(data)
    return count, part.hexdigest()
