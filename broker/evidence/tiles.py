"""The files of a tree, as C2SP tlog-tiles lays them out: names, contents, growth; pure.

A hash tile holds up to 256 hashes of one level, where each is the root over 256 of the level
below. A bundle holds up to 256 entries. The last of each kind is partial (``.p/W``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from broker.evidence import merkle

WIDTH = 256
HASH_SIZE = 32
ENTRIES = -1  # the level of bundles, written "entries" in a path
ENTRY_LIMIT = 65535

_PATH = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One file: a level, its place in that level, and how many hashes or entries it holds."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Relative to the log, the index in groups of three digits."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{number}{partial}"


def parse_path(path: str) -> Tile | None:
    """The tile that a path names, if it is the one way to name it."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    level = ENTRIES if match[1] == "entries" else int(match[1])
    index = int(match[2].replace("x", "").replace("/", "") + match[3])
    tile = Tile(level, index, int(match[4] or WIDTH))
    return tile if tile.path == path else None


def required(size: int) -> set[Tile]:
    """Every file that a tree of this size is made of."""
    tiles = _of_level(ENTRIES, size)
    level, count = 0, size
    while count:
        tiles |= _of_level(level, count)
        level, count = level + 1, count // WIDTH
    return tiles


def _of_level(level: int, count: int) -> set[Tile]:
    full, rest = divmod(count, WIDTH)
    tiles = {Tile(level, index, WIDTH) for index in range(full)}
    return tiles | {Tile(level, full, rest)} if rest else tiles


def bundle(entries: list[bytes]) -> bytes:
    """The content of a bundle: each entry after its length in two bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; ValueError when it does not come out even."""
    entries, at = [], 0
    while at < len(data):
        begin = at + 2
        at = begin + int.from_bytes(data[begin - 2 : begin], "big")
        if begin > len(data) or at > len(data):
            msg = "an entry is cut off"
            raise ValueError(msg)
        entries.append(data[begin:at])
    return entries


@dataclass
class Frontier:
    """The growing edge of a tree: of each level, the hashes of its last, partial tile."""

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=lambda: [[]])

    def add(self, leaf: bytes) -> list[tuple[int, int, list[bytes]]]:
        """Add one leaf hash; gives the hash tiles that it completed: level, index, hashes."""
        self.size += 1
        completed: list[tuple[int, int, list[bytes]]] = []
        level, current = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(current)
            if len(self.levels[level]) < WIDTH:
                return completed
            hashes, self.levels[level] = self.levels[level], []
            completed.append((level, self.size // WIDTH ** (level + 1) - 1, hashes))
            current, level = merkle.root(hashes), level + 1

    def partials(self) -> list[tuple[int, int, list[bytes]]]:
        """The partial hash tiles: level, index, hashes."""
        return [
            (level, self.size // WIDTH ** (level + 1), list(hashes))
            for level, hashes in enumerate(self.levels)
            if hashes
        ]

    def root(self) -> bytes:
        """The root of the tree so far."""
        return merkle.fold([p for hashes in reversed(self.levels) for p in merkle.peaks(hashes)])
