"""A row masker that can be seen through: addresses become ``***``, tainted cells too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.wire.messages import FROM_SERVER, Frames, data_row
from broker.wire.rows import read_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.model import Column

ADDRESS = re.compile(rb"[\w.]+@[\w.]+")


@dataclass
class SeenPlan:
    """Masks addresses in every cell, and computed cells of tainted statements whole."""

    columns: Sequence[Column]
    tainted: bool
    active: bool = True

    def rows(self, block: bytes, /) -> bytes:
        frames = Frames(FROM_SERVER)
        frames.feed(block)
        shown = b""
        while (message := frames.next()) is not None:
            cells = read_cells(message.body, len(self.columns))
            pairs = zip(cells, self.columns, strict=True)
            shown += data_row([self._cell(cell, column) for cell, column in pairs])
        return shown

    def _cell(self, cell: bytes | None, column: Column) -> bytes | None:
        if cell is None:
            return None
        if self.tainted and column.table_oid == 0:
            return b"***"
        return ADDRESS.sub(b"***", cell)


@dataclass
class LineMask:
    """The same for a stream of lines."""

    held: bytes = b""

    def feed(self, data: bytes) -> bytes:
        whole, newline, self.held = (self.held + data).rpartition(b"\n")
        return ADDRESS.sub(b"***", whole + newline)

    def idle(self) -> bytes:
        return b""

    def close(self) -> bytes:
        rest, self.held = self.held, b""
        return ADDRESS.sub(b"***", rest)

    def take_counts(self) -> dict[str, int]:
        return {}


@dataclass
class SeenMask:
    """`failing` makes it break; `active` False makes its plans change nothing."""

    active: bool = True
    failing: bool = False
    planned: list[tuple[list[str], bool]] = field(default_factory=list)

    def plan(self, columns: Sequence[Column], /, *, tainted: bool) -> SeenPlan:
        if self.failing:
            msg = "the masker is broken"
            raise RuntimeError(msg)
        self.planned.append(([column.name for column in columns], tainted))
        return SeenPlan(columns, tainted, self.active)

    def text(self, data: bytes, /) -> bytes:
        return ADDRESS.sub(b"***", data)

    def copy_stream(self) -> LineMask:
        return LineMask()

    def take_counts(self) -> dict[str, int]:
        return {}
