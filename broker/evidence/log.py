"""The open audit log: an event is in it before its effect happens, or it fails for good.

    append ──► pending (survives a kill) ──► seal ──► bundles, tiles ──► checkpoint (signed)

Every step of sealing is on disk before the next, and the pending file is emptied last: after a
crash at any point the log is whole as of one checkpoint, and what was pending is sealed again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure
from broker.evidence import entry, merkle, pending
from broker.evidence.note import Checkpoint, VerifierKey, signed
from broker.evidence.replay import CHECKPOINT, PENDING, SCRATCH, replay
from broker.evidence.tiles import ENTRIES, WIDTH, Frontier, Tile, bundle, required

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from broker.events import Event
    from broker.evidence.ledger import Story
    from broker.ports import Clock


# Sealing costs a dozen syncs however much it seals; a second's worth may wait, but no more than
# is sealed in a few milliseconds.
MOST_WAITING = 4 * WIDTH


class AuditLog:
    """One node's log. Called from one thread; one process at a time holds it (a file lock)."""

    def __init__(
        self, folder: Path, signing_key: Ed25519PrivateKey, origin: str, clock: Clock, lock: int
    ) -> None:
        self._dir = folder
        self._key = signing_key
        self._origin = origin
        self._clock = clock
        self._pending = lock
        self._tree = Frontier()
        self._bundle: list[bytes] = []
        self._waiting: list[bytes] = []
        self._last_ts = 0
        self._shut: str | None = None
        self.left_open: tuple[Story, ...] = ()  # recordings that a previous run did not close
        self.torn = 0  # bytes of a half-written entry that were dropped at the start

    @classmethod
    def open(
        cls, folder: Path, signing_key: Ed25519PrivateKey, origin: str, clock: Clock
    ) -> AuditLog:
        """Open or begin the log in `folder`; refuses one that does not verify, or is in use."""
        try:
            _make_folder(folder)
            descriptor = _lock(folder / PENDING)
        except OSError as error:
            msg = f"the audit log in {folder} cannot be opened: {error.strerror}"
            raise EvidenceFailure(msg) from error
        log = cls(folder, signing_key, origin, clock, descriptor)
        try:
            log._recover()
        except BaseException:
            log._shut = "the audit log could not be opened"
            os.close(descriptor)
            raise
        return log

    @property
    def size(self) -> int:
        """How many entries there are, sealed or not."""
        return self._tree.size + len(self._waiting)

    def append(self, event: Event, *, durable: bool = False) -> None:
        """Add one event; it survives a kill. `durable`: on disk and under a signed checkpoint."""
        with self._failing():
            self._append(event)
            if durable or len(self._waiting) >= MOST_WAITING:
                self._seal()

    def seal(self) -> None:
        """Put all that waits under a signed checkpoint."""
        with self._failing():
            self._seal()

    async def keep_sealed(self, every: float = 1.0) -> None:
        """Seal every second, for as long as this runs; EvidenceFailure ends it."""
        while True:
            await asyncio.sleep(every)
            self.seal()

    def close(self) -> None:
        """Seal the rest and let go of the log."""
        if self._shut is not None:
            return
        self.seal()
        self._shut = "the audit log is closed"
        os.close(self._pending)

    # -- appending -----------------------------------------------------------------------------

    def _append(self, event: Event) -> None:
        now = entry.milliseconds(self._clock())
        # The log's own time never runs backwards; the identifier keeps what the clock said.
        self._last_ts = max(self._last_ts, now)
        data = entry.encode(event, entry.Place(self.size, self._last_ts), entry.ulid(now))
        _write_all(self._pending, pending.encode(self.size, data))
        self._waiting.append(data)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Whatever stops a step half way, an interrupt too, shuts the log for good."""
        if self._shut is not None:
            raise EvidenceFailure(self._shut)
        try:
            yield
        except BaseException as error:
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            self._shut = f"the audit log cannot be written: {why}"
            with suppress(OSError):
                os.close(self._pending)
            if isinstance(error, Exception):
                raise EvidenceFailure(self._shut) from error
            raise

    # -- sealing -------------------------------------------------------------------------------

    def _seal(self) -> None:
        if not self._waiting:
            return
        os.fdatasync(self._pending)
        before = self._tree.size
        for data in self._waiting:
            self._grow(data)
        self._write_partials(before)
        self._write_checkpoint()
        os.ftruncate(self._pending, 0)
        self._waiting = []
        self._remove_superseded(before)

    def _grow(self, data: bytes) -> None:
        index = self._tree.size // WIDTH
        self._bundle.append(data)
        if len(self._bundle) == WIDTH:
            self._put(Tile(ENTRIES, index, WIDTH), bundle(self._bundle))
            self._bundle = []
        for level, place, hashes in self._tree.add(merkle.leaf_hash(data)):
            self._put(Tile(level, place, WIDTH), b"".join(hashes))

    def _write_partials(self, before: int) -> None:
        unchanged = _partials(before)
        fresh = {
            Tile(level, index, len(hashes)): b"".join(hashes)
            for level, index, hashes in self._tree.partials()
        }
        if self._bundle:
            place = Tile(ENTRIES, self._tree.size // WIDTH, len(self._bundle))
            fresh[place] = bundle(self._bundle)
        for tile, content in fresh.items():
            if tile not in unchanged:
                self._put(tile, content)

    def _write_checkpoint(self) -> None:
        head = Checkpoint(self._origin, self._tree.size, self._tree.root())
        self._replace(self._dir / CHECKPOINT, signed(head.text, self._origin, self._key))

    def _put(self, tile: Tile, content: bytes) -> None:
        path = self._dir / tile.path
        _make_folder(path.parent)
        self._replace(path, content)

    def _replace(self, path: Path, content: bytes) -> None:
        """A file appears whole, under its name, and on disk."""
        scratch = self._dir / SCRATCH
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(scratch, flags, 0o600)
        try:
            _write_all(descriptor, content)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        scratch.rename(path)
        _sync_folder(path.parent)

    def _remove_superseded(self, before: int) -> None:
        for tile in _partials(before) - _partials(self._tree.size):
            self._remove(tile)

    def _remove(self, tile: Tile) -> None:
        path = self._dir / tile.path
        path.unlink(missing_ok=True)
        if tile.width < WIDTH and not any(path.parent.iterdir()):
            path.parent.rmdir()

    # -- opening -------------------------------------------------------------------------------

    def _recover(self) -> None:
        try:
            (self._dir / SCRATCH).unlink(missing_ok=True)
            self._begin()
            self._continue()
            self._seal()
        except OSError as error:
            msg = f"the audit log in {self._dir} cannot be opened: {error.strerror}"
            raise EvidenceFailure(msg) from error

    def _begin(self) -> None:
        if (self._dir / CHECKPOINT).exists():
            return
        if os.fstat(self._pending).st_size or (self._dir / "tile").exists():
            msg = f"the audit log in {self._dir} has no checkpoint; restore it from a copy"
            raise EvidenceFailure(msg)
        self._write_checkpoint()

    def _continue(self) -> None:
        found = replay(self._dir, VerifierKey.of(self._origin, self._key))
        if found.torn > pending.RECORD_LIMIT:
            found.problems.append("log/pending: more than one record is damaged")
        if found.problems:
            msg = f"the audit log in {self._dir} does not verify: {'; '.join(found.problems[:3])}"
            raise EvidenceFailure(msg)
        self._tree, self._bundle, self._waiting = found.frontier, found.bundle, found.waiting
        self._last_ts = found.last_ts
        self.torn = found.torn
        self.left_open = tuple(found.ledger.unclosed())
        # What follows the last whole record goes first, or the next record would be lost in it.
        os.ftruncate(self._pending, found.whole if found.waiting else 0)
        for tile in found.tiles - required(self._tree.size):
            self._remove(tile)


def _partials(size: int) -> set[Tile]:
    """The partial files of a tree of this size."""
    tiles, level, count = set(), 0, size
    if size % WIDTH:
        tiles.add(Tile(ENTRIES, size // WIDTH, size % WIDTH))
    while count:
        if count % WIDTH:
            tiles.add(Tile(level, count // WIDTH, count % WIDTH))
        level, count = level + 1, count // WIDTH
    return tiles


def _lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        msg = f"the audit log in {path.parent} is in use by another broker"
        raise EvidenceFailure(msg) from error
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
