"""Files that are written by one thread and synced by another: one background thread for all.

A sync takes a millisecond or more, in which an event loop would serve nobody. `ask` has all that
was written so far synced soon: requests that come while a sync runs are covered by the next one,
and a file is never in two syncs at once. What fails in the background is kept, and raised by the
next call that the owner makes.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue

GATHER_SECONDS = 0.003  # so that busy sessions share syncs: a disk has better things to do


class SyncedFile:
    """One open file. All methods but the sync itself belong to its owner's thread."""

    def __init__(self, descriptor: int) -> None:
        self.written = 0
        self.synced = 0  # so many bytes are on disk for certain
        self._fd = descriptor
        self._busy = threading.Lock()  # held while the descriptor is synced or closed
        self._asked = False
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong in the background."""
        if self._error is not None:
            raise self._error

    def write(self, data: bytes) -> None:
        """Append all of it: it survives a kill of this process."""
        size = os.write(self._fd, data)
        if size < len(data):
            rest = memoryview(data)[size:]
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        self.written += len(data)

    def ask(self) -> None:
        """Have what was written so far synced soon."""
        if not self._asked and self.synced < self.written:
            self._asked = True
            _background.sync(self)

    def sync(self) -> None:
        """What was written so far is on disk when this returns."""
        with self._busy:
            self._sync()

    def close(self) -> None:
        """Let go of the descriptor, once no sync uses it; never twice: the number may be reused."""
        with self._busy:
            descriptor, self._fd = self._fd, -1
            if descriptor >= 0:
                os.close(descriptor)

    def sync_as_asked(self) -> None:
        """The background's part. Closed meanwhile: its owner has synced it, or given it up."""
        with self._busy:
            self._asked = False  # what is written from here on asks again
            try:
                if self._fd >= 0:
                    self._sync()
            except OSError as error:
                self._error = error

    def _sync(self) -> None:
        size = self.written
        os.fdatasync(self._fd)
        self.synced = size


class _Background:
    """The thread, begun when it is first needed; it dies with the process."""

    def __init__(self) -> None:
        self._files: SimpleQueue[SyncedFile] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def sync(self, file: SyncedFile) -> None:
        self._files.put(file)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, daemon=True, name="syncing")
                    self._thread.start()

    def _run(self) -> None:
        while True:
            files = [self._files.get()]
            time.sleep(GATHER_SECONDS)
            with suppress(Empty):
                while True:
                    files.append(self._files.get_nowait())
            for file in files:
                file.sync_as_asked()


_background = _Background()
