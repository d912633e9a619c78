"""One open recording: append, flush, sync and hash; whatever fails, says so and stays failed.

Every event is in the file when its call returns, so it survives a kill of this process. The file
is synced to disk once a second, and at once for markers and the end. Every ten seconds or 1 MiB
a chunk is complete: its offset, length and SHA-256 go to `on_chunk`, after a sync, so that what
is said about the file elsewhere is never ahead of the disk. The first chunk is the header alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recordings.asciicast import Encoder, Event, decode_event, encode_event, encode_header
from recordings.errors import RecordingFailed, RecordingUnreadable

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
        self._fd = descriptor
        self._on_chunk = on_chunk
        self._monotonic = monotonic
        self._encoder = Encoder()
        self._began = self._synced = self._chunk_began = monotonic()
        self._dirty = self._shut = False
        self._whole, self._chunk = hashlib.sha256(), hashlib.sha256()
        self._size = self._chunk_offset = self._chunks = self._events = 0
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

    def marker(self, label: str) -> None:
        """A point worth jumping to; on disk when this returns."""
        self._put(encode_event(Event(self._now(), "m", label)))
        with self._writing():
            self._sync()

    def tick(self) -> None:
        """Sync and close a chunk when it is time, though nothing new came. Call once a second."""
        with self._writing():
            self._keep_time()

    def close(self, status: str, exit_code: int | None) -> Closed:
        """Write what is held and the exit status, sync, and end the last chunk."""
        self._put(self._encoder.rest(self._now()))
        data = status if exit_code is None else str(exit_code)
        self._put(encode_event(Event(self._now(), "x", data)))
        with self._writing():
            self._end_chunk()
            self._release()
        return Closed(self._size, self._whole.hexdigest(), self._events, round(self._time * 1000))

    def abandon(self) -> None:
        """Let go of the file after a failure; never raises."""
        if not self._shut:
            self._fail()

    def _now(self) -> float:
        self._time = max(self._time, self._monotonic() - self._began)
        return self._time

    def _put(self, line: bytes) -> None:
        with self._writing():
            if line:
                self._write(line)
                self._events += 1
            self._keep_time()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._whole.update(data)
        self._chunk.update(data)
        self._size += len(data)
        self._dirty = True

    def _keep_time(self) -> None:
        now = self._monotonic()
        if self._dirty and now - self._synced >= SYNC_SECONDS:
            self._sync()
        length = self._size - self._chunk_offset
        if length >= CHUNK_BYTES or (length and now - self._chunk_began >= CHUNK_SECONDS):
            self._end_chunk()

    def _sync(self) -> None:
        os.fdatasync(self._fd)
        self._synced, self._dirty = self._monotonic(), False

    def _end_chunk(self) -> None:
        self._sync()
        length = self._size - self._chunk_offset
        if length:
            self._on_chunk(self._chunks, self._chunk_offset, length, self._chunk.hexdigest())
            self._chunks += 1
        self._chunk, self._chunk_offset = hashlib.sha256(), self._size
        self._chunk_began = self._monotonic()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._shut:
            msg = "the recording is closed"
            raise RecordingFailed(msg)
        try:
            with _failing():
                yield
        except BaseException:  # half a line may be in the file: nothing may follow it
            self._fail()
            raise

    def _fail(self) -> None:
        with suppress(OSError):
            self._release()

    def _release(self) -> None:
        self._shut = True
        descriptor, self._fd = self._fd, -1  # never close a number twice: it may be another's
        if descriptor >= 0:
            os.close(descriptor)


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
        msg = f"the recording cannot be written: {error.strerror or 'input/output error'}"
        raise RecordingFailed(msg) from error
