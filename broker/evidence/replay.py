"""Read a log from its first entry and check every file of it; the same for broker and auditor.

The log may be written to meanwhile. No lock is taken; the order of reading is what makes that
safe: list the tiles, then read the checkpoint and the pending file together, then the entries.
A tile on the list was made of entries that the later snapshot holds; a tile that has vanished
since was replaced by a wider one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.evidence import entry, merkle, pending
from broker.evidence.files import listed, open_plain
from broker.evidence.ledger import Ledger
from broker.evidence.note import Checkpoint, NoteError, VerifierKey, opened
from broker.evidence.tiles import (
    ENTRIES,
    HASH_SIZE,
    WIDTH,
    Frontier,
    Tile,
    bundle,
    parse_path,
    required,
    unbundle,
)

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT = "checkpoint"
PENDING = "pending"
SCRATCH = "next"  # a file being written, before it gets its name; never evidence

_TRIES = 500  # of a snapshot, while a broker writes; each takes microseconds
_SHOWN = 50  # problems; a log that is wrong everywhere need not say so for every entry


@dataclass
class Replay:
    """What was found: the sealed tree, the tail that is not sealed yet, and all that is wrong."""

    size: int = 0
    frontier: Frontier = field(default_factory=Frontier)
    bundle: list[bytes] = field(default_factory=list)  # sealed entries of the last, partial one
    waiting: list[bytes] = field(default_factory=list)
    torn: int = 0
    whole: int = 0
    last_ts: int = 0
    tiles: set[Tile] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)
    problems: list[str] = field(default_factory=list)


def replay(log: Path, key: VerifierKey) -> Replay:
    """Read and check the log in this directory."""
    return _Reader(log, key).run()


class _Stop(Exception):
    """Nothing after this point can be checked."""


class _Reader:
    def __init__(self, log: Path, key: VerifierKey) -> None:
        self._log = log
        self._key = key
        self._found = Replay()
        self._tree = Frontier()  # sealed and pending
        self._bundle: list[bytes] = []
        self._stale: dict[int, bytes] = {}
        self._widths: dict[tuple[int, int], list[int]] = {}

    def run(self) -> Replay:
        try:
            self._list_files()
            checkpoint = self._snapshot()
            self._read_sealed(checkpoint)
            self._read_waiting()
            self._check_partials()
            self._check_required()
        except _Stop:
            pass
        except OSError as error:
            self._problem(f"{error.filename or self._log}: cannot be read: {error.strerror}")
        return self._found

    def _problem(self, text: str) -> None:
        if len(self._found.problems) < _SHOWN:
            self._found.problems.append(text)

    def _stop(self, text: str) -> _Stop:
        self._problem(text)
        return _Stop(text)

    # -- what there is -------------------------------------------------------------------------

    def _list_files(self) -> None:
        for path in listed(self._log):
            tile = parse_path(path)
            if tile is not None:
                self._found.tiles.add(tile)
                self._widths.setdefault((tile.level, tile.index), []).append(tile.width)
            elif path not in {CHECKPOINT, PENDING, SCRATCH}:
                self._problem(f"log/{path}: not a file of this log")

    def _snapshot(self) -> Checkpoint:
        for _ in range(_TRIES):
            before, tail = self._must_read(CHECKPOINT), self._must_read(PENDING)
            records = pending.decode(tail)
            if not records.torn and self._must_read(CHECKPOINT) == before:
                break
        checkpoint = self._opened(before)
        self._found.torn, self._found.whole = records.torn, records.whole
        self._found.size = checkpoint.size
        self._sort(records.records, checkpoint.size)
        return checkpoint

    def _must_read(self, name: str) -> bytes:
        data = _read(self._log / name)
        if data is None:
            raise self._stop(f"log/{name}: missing")
        return data

    def _opened(self, data: bytes) -> Checkpoint:
        try:
            checkpoint = Checkpoint.parse(opened(data, self._key))
            if checkpoint.origin != self._key.name:
                raise self._stop("log/checkpoint: of another log")
        except NoteError as error:
            raise self._stop(f"log/checkpoint: {error}") from error
        return checkpoint

    def _sort(self, records: tuple[tuple[int, bytes], ...], size: int) -> None:
        """Tell pending records that a crash left there after they were sealed from the others."""
        if not records:
            return
        first = records[0][0]
        for number, (index, _) in enumerate(records):
            if index != first + number:
                raise self._stop("log/pending: records are missing or out of order")
        if not first <= size <= first + len(records):
            raise self._stop("log/pending: does not continue the checkpoint")
        self._stale = dict(records[: size - first])
        self._found.waiting = [data for _, data in records[size - first :]]

    # -- entries -------------------------------------------------------------------------------

    def _read_sealed(self, checkpoint: Checkpoint) -> None:
        for index in range(-(-checkpoint.size // WIDTH)):
            width = min(WIDTH, checkpoint.size - index * WIDTH)
            for data in self._entries(Tile(ENTRIES, index, width)):
                self._take(data)
        if self._tree.root() != checkpoint.root:
            raise self._stop("the entries are not the ones that the checkpoint was signed over")
        levels = [list(hashes) for hashes in self._tree.levels]
        self._found.frontier = Frontier(self._tree.size, levels)
        self._found.bundle = list(self._bundle)

    def _entries(self, tile: Tile) -> list[bytes]:
        data = self._read_tile(tile)
        if data is None:
            raise self._stop(f"log/{tile.path}: missing")
        try:
            entries = unbundle(data)
        except ValueError as error:
            raise self._stop(f"log/{tile.path}: {error}") from error
        if len(entries) < tile.width:
            raise self._stop(f"log/{tile.path}: entries are missing")
        return entries[: tile.width]

    def _read_tile(self, tile: Tile) -> bytes | None:
        """A tile, or the wider one that has replaced it since it was listed."""
        for _ in range(_TRIES):
            for width in self._present(tile):
                data = _read(self._log / Tile(tile.level, tile.index, width).path)
                if data is not None:
                    return data
        return None

    def _present(self, tile: Tile) -> list[int]:
        """The widths, from this tile's on, in which it exists now."""
        if (self._log / tile.path).is_file():
            return [tile.width]
        full = self._log / Tile(tile.level, tile.index, WIDTH).path
        folder = full.with_name(full.name + ".p")
        widths = [width for width in _widths(folder) if width > tile.width]
        return sorted(widths) + ([WIDTH] if full.is_file() else [])

    def _take(self, data: bytes) -> None:
        seq = self._tree.size
        if self._stale.get(seq, data) != data:
            self._problem(f"log/pending: entry {seq} is not the one that was sealed")
        try:
            read = entry.decode(data, seq)
            if read["ts_ms"] < self._found.last_ts:
                self._problem(f"entry {seq} is older than the one before it")
            self._found.last_ts = read["ts_ms"]
            self._found.ledger.read(read)
        except ValueError as error:
            self._problem(f"entry {seq}: {error}")
        for level, index, hashes in self._tree.add(merkle.leaf_hash(data)):
            self._compare(level, index, WIDTH, b"".join(hashes), HASH_SIZE)
        self._bundle.append(data)
        if len(self._bundle) == WIDTH:
            self._compare_bundle(seq // WIDTH)
            self._bundle = []

    def _read_waiting(self) -> None:
        for data in self._found.waiting:
            self._take(data)

    # -- files against what they must hold -----------------------------------------------------

    def _check_partials(self) -> None:
        for level, index, hashes in self._tree.partials():
            self._compare(level, index, len(hashes), b"".join(hashes), HASH_SIZE)
        if self._bundle:
            self._compare_bundle(self._tree.size // WIDTH)
        for (level, index), widths in self._widths.items():
            for width in widths:
                self._problem(f"log/{Tile(level, index, width).path}: beyond the end of the log")

    def _compare(self, level: int, index: int, known: int, content: bytes, unit: int) -> None:
        for width in self._widths.pop((level, index), []):
            tile = Tile(level, index, width)
            if width > known:
                self._problem(f"log/{tile.path}: beyond the end of the log")
            elif _read(self._log / tile.path) not in {None, content[: width * unit]}:
                self._problem(f"log/{tile.path}: not what the entries make it")

    def _compare_bundle(self, index: int) -> None:
        for width in self._widths.pop((ENTRIES, index), []):
            tile = Tile(ENTRIES, index, width)
            if width > len(self._bundle):
                self._problem(f"log/{tile.path}: beyond the end of the log")
            elif _read(self._log / tile.path) not in {None, bundle(self._bundle[:width])}:
                self._problem(f"log/{tile.path}: not what the entries make it")

    def _check_required(self) -> None:
        for tile in sorted(required(self._found.size)):
            if not any(self._present(tile) for _ in range(_TRIES)):
                self._problem(f"log/{tile.path}: missing")


def _widths(folder: Path) -> list[int]:
    """The widths of the partial tiles in this folder, which may vanish at any time."""
    try:
        return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> bytes | None:
    """A file's bytes, or None when there is none."""
    try:
        with open_plain(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
