"""Result rows: RowDescription and DataRow, and what the relay needs of a masker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from broker.errors import ProtocolError
from broker.model import Column
from broker.wire.messages import Body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.ports import Mask


class RowPlan(Protocol):
    """How the rows of one result are masked."""

    @property
    def active(self) -> bool:
        """Can any cell change? When not, rows are relayed unread."""

    def rows(self, block: bytes, /) -> bytes:
        """Whole DataRow messages, masked. ProtocolError when they are not what was described."""


class RowMask(Protocol):
    """Masks what a database answers; `broker.mask.rows` has the real one."""

    def plan(self, columns: Sequence[Column], /, *, tainted: bool) -> RowPlan:
        """The plan for one result; `tainted` when its statement reads masked columns."""

    def text(self, data: bytes, /) -> bytes:
        """Free text, masked: errors, notices, notifications."""

    def copy_stream(self) -> Mask:
        """A masker for the lines of one COPY ... TO STDOUT."""

    def take_counts(self) -> dict[str, int]:
        """How many values of each type were masked since the last call."""


def read_columns(body: bytes) -> list[Column]:
    """A RowDescription."""
    reader = Body(body)
    columns = []
    for _ in range(reader.counted()):
        name = reader.cstring().decode("utf-8", "replace")
        table, attnum = reader.int32() & 0xFFFFFFFF, reader.int16()
        type_oid = reader.int32() & 0xFFFFFFFF
        reader.take(6)  # size and modifier of the type
        columns.append(Column(name, table, attnum, type_oid, bool(reader.int16())))
    reader.end()
    return columns


def read_cells(body: bytes, columns: int) -> list[bytes | None]:
    """A DataRow; it must have as many cells as its description has columns."""
    reader = Body(body)
    count = reader.counted()
    if count != columns:
        msg = f"a row has {count} cells for {columns} columns"
        raise ProtocolError(msg)
    cells = [reader.value() for _ in range(count)]
    reader.end()
    return cells
