"""One open recording: append, flush, sync and hash; whatever fails, says so and stays failed.

Every event is in the file when its call returns, so it survives a kill of this process. Markers
and the end are on disk when their call returns. The rest is synced in the background once a
second, and at once after a routine marker: a statement that a rule allowed need not wait for the
disk. Every ten seconds or 1 MiB a chunk is complete: its offset, length and SHA-256 go to
`on_chunk`, after a sync, so that what is said about the file elsewhere is never ahead of the
disk. The first chunk is the header alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recordings.asciicast import Encoder, Event, decode_event, encode_event, encode_header
from recordings.errors import RecordingFailed, RecordingUnreadable
from recordings.syncing import SyncedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

CHUNK_BYTES = 1 << 20
CHUNK_SECONDS = 10.0
SYNC_SECONDS = 1.0
SUFFIX = ".cast"

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Closed:
    """A complete recording file: its size, hash, number of events, and length in time."""

    size: int
    sha256: str
    events: int
    ms: int


def file_name(session_id: str, started: datetime) -> str:
    """Where a recording lies, relative to the root: ``YYYY/MM/DD/SESSION.cast``."""
    if not is_session_id(session_id):
        msg = "the session id cannot be a file name"
        raise RecordingFailed(msg)
    return f"{started:%Y/%m/%d}/{session_id}{SUFFIX}"


def is_session_id(text: str) -> bool:
    """Can this name a recording? Letters, digits, ``-`` and ``_``: never a way out of the root."""
    return _SESSION_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A part of the file that is complete, and told of once it is on disk."""

    number: int
    offset: int
    length: int
    sha256: str


class Writer:
    """Appends events to one file until closed; after the first failure every call fails."""

    def __init__(
        self,
        descriptor: int,
        path: Path,
        on_chunk: Callable[[int, int, int, str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.path = path
        self._file = SyncedFile(descriptor)
        self._on_chunk = on_chunk
        self._monotonic = monotonic
        self._encoder = Encoder()
        self._began = self._clock = self._sync_asked = self._chunk_began = monotonic()
        self._shut = False
        self._whole, self._chunk = hashlib.sha256(), hashlib.sha256()
        self._complete: deque[_Chunk] = deque()
        self._chunk_offset = self._chunks = self._events = 0
        self._time = 0.0

    @classmethod
    def create(
        cls,
        root: Path,
        session_id: str,
        header: Mapping[str, Any],
        started: datetime,
        on_chunk: Callable[[int, int, int, str], None],
        monotonic: Callable[[], float],
    ) -> Writer:
        """Begin a new file, readable by its owner alone; its name must be free."""
        path = root / file_name(session_id, started)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with _failing():
            _make_folders(path.parent, root)
            descriptor = os.open(path, flags, 0o600)
        writer = cls(descriptor, path, on_chunk, monotonic)
        with writer._writing():
            _sync_folder(path.parent)
            writer._write(encode_header(header))
            writer._end_chunk()
            writer._sync()
        return writer

    def output(self, data: bytes) -> None:
        """What was shown; an unfinished character waits for its rest."""
        self._put(self._encoder.output(self._now(), data))

    def input(self, text: str) -> None:
        """What was typed."""
        self._put(encode_event(Event(self._now(), "i", text)))

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size."""
        self._put(encode_event(Event(self._now(), "r", f"{columns}x{rows}")))

    def marker(self, label: str, *, routine: bool = False) -> None:
        """A point worth jumping to; on disk when this returns, or if `routine` moments later."""
        self._put(encode_event(Event(self._now(), "m", label)))
        if routine:
            self._ask()
        else:
            with self._writing():
                self._sync()

    def tick(self) -> None:
        """Sync and close a chunk when it is time, though nothing new came. Call once a second."""
        with self._writing():
            self._clock = self._monotonic()
            self._file.check()
            self._keep_time()

    def close(self, status: str, exit_code: int | None) -> Closed:
        """Write what is held and the exit status, sync, and end the last chunk."""
        self._put(self._encoder.rest(self._now()))
        data = status if exit_code is None else str(exit_code)
        self._put(encode_event(Event(self._now(), "x", data)))
        with self._writing():
            self._end_chunk()
            self._sync()
            self._release()
        size, sha256 = self._file.written, self._whole.hexdigest()
        return Closed(size, sha256, self._events, round(self._time * 1000))

    def abandon(self) -> None:
        """Let go of the file after a failure; never raises."""
        with suppress(OSError):
            self._release()

    def _now(self) -> float:
        self._clock = self._monotonic()
        self._time = max(self._time, self._clock - self._began)
        return self._time

    def _put(self, line: bytes) -> None:
        self._check_open()
        try:
            self._file.check()
            if line:
                self._write(line)
                self._events += 1
            self._keep_time()
        except OSError as error:
            self.abandon()
            raise _told(error) from error
        except BaseException:
            self.abandon()
            raise

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._whole.update(data)
        self._chunk.update(data)

    def _keep_time(self) -> None:
        length = self._file.written - self._chunk_offset
        if length >= CHUNK_BYTES or (length and self._clock - self._chunk_began >= CHUNK_SECONDS):
            self._end_chunk()
            self._ask()
        elif self._clock - self._sync_asked >= SYNC_SECONDS:
            self._ask()
        if self._complete:
            self._tell_chunks()

    def _ask(self) -> None:
        self._file.ask()
        self._sync_asked = self._clock

    def _sync(self) -> None:
        self._file.sync()
        self._file.check()
        self._sync_asked = self._clock
        self._tell_chunks()

    def _end_chunk(self) -> None:
        offset, end = self._chunk_offset, self._file.written
        if end > offset:
            sha256 = self._chunk.hexdigest()
            self._complete.append(_Chunk(self._chunks, offset, end - offset, sha256))
            self._chunks += 1
        self._chunk, self._chunk_offset = hashlib.sha256(), end
        self._chunk_began = self._clock

    def _tell_chunks(self) -> None:
        """What is said about the file elsewhere is never ahead of the disk."""
        synced = self._file.synced
        while self._complete and self._complete[0].offset + self._complete[0].length <= synced:
            chunk = self._complete.popleft()
            self._on_chunk(chunk.number, chunk.offset, chunk.length, chunk.sha256)

    def _check_open(self) -> None:
        if self._shut:
            msg = "the recording is closed"
            raise RecordingFailed(msg)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._check_open()
        try:
            with _failing():
                yield
        except BaseException:  # half a line may be in the file: nothing may follow it
            self.abandon()
            raise

    def _release(self) -> None:
        self._shut = True
        self._file.close()


def recover(path: Path) -> int:
    """Cut a file that was left open after its last whole line; gives back its size."""
    with _failing():
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            whole = _last_line_end(descriptor, size)
            if whole != size:
                os.ftruncate(descriptor, whole)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    return whole


def measure(path: Path) -> Closed:
    """What `close` would have said of a file that is complete by now."""
    sha, size, lines, last = hashlib.sha256(), 0, 0, b""
    with _failing(), path.open("rb") as file:
        for line in file:
            sha.update(line)
            size, lines, last = size + len(line), lines + 1, line
    try:
        ms = round(decode_event(last).time * 1000)
    except RecordingUnreadable:  # only a header, or nothing at all
        ms = 0
    return Closed(size, sha.hexdigest(), max(0, lines - 1), ms)


def _last_line_end(descriptor: int, size: int) -> int:
    end = size
    while end:
        begin = max(0, end - _BLOCK)
        at = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0


def _make_folders(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    if folder != root:
        _make_folders(folder.parent, root)
    folder.mkdir(mode=0o700, parents=folder == root, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _told(error) from error


def _told(error: OSError) -> RecordingFailed:
    return RecordingFailed(
        f"the recording cannot be written: {error.strerror or 'input/output error'}"
    )
