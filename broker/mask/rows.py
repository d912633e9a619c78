"""Result rows of PostgreSQL, masked cell by cell before any client lays them out.

A column is masked whole when a rule names it (by table and attribute number, which survive
aliases and joins), or when it has no identity of its own and its statement reads a masked column.
All other cells are searched by the detectors. A cell that cannot be shown masked in its own type
becomes NULL: a number, a date, anything binary that we cannot read.

Limits: text is UTF-8 (the session's client_encoding is pinned). A value written with JSON's
``\\u`` escapes, or as numbers in a binary array, is not seen; a number computed from a masked
column is not masked. Errors, notices and COPY have no column identity: there only the detectors
look.
"""

from __future__ import annotations

import json
from collections import Counter
from struct import error as struct_error
from typing import TYPE_CHECKING

from broker.mask.cells import INNOCENT, JSONB, Form, form_of, is_integer, is_opaque, text_of
from broker.mask.detect import spans
from broker.mask.prefilter import Clean, Prefilter
from broker.mask.rules import DETECTORS, Style
from broker.mask.stream import new_stream
from broker.mask.values import mask_value, masked, stars
from broker.rows import blocks, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from broker.mask.rules import Masking
    from broker.model import Column
    from broker.ports import Mask

_BLOCK_STYLES = {Style.REDACT: plain.STARS, Style.PARTIAL: plain.PARTIAL}
_ENDS = {Form.JSON: ('"', '"'), Form.ARRAY: ("{", "}"), Form.RECORD: ("(", ")")}


class RowMask:
    """One session's masker of rows; `columns` holds styles by (table oid, attribute number).

    `tables` are the oids of all tables that `columns` was made from: when a column is masked, one
    that is not among them may be a copy of it.
    """

    def __init__(
        self,
        masking: Masking,
        columns: Mapping[tuple[int, int], Style],
        key: bytes,
        *,
        tables: Collection[int] | None = None,
    ) -> None:
        if Style.PSEUDONYM in columns.values() and not key:
            msg = "a pseudonym needs a key"
            raise ValueError(msg)
        self.detect = tuple(name for name in DETECTORS if name in masking.detect)
        self.prefilter = Prefilter(self.detect)
        self._clean = Clean(self.detect)
        self.key = key
        self.counts: Counter[str] = Counter()
        self._masking = masking
        self._columns = columns
        self._masked = {oid for oid, _ in columns}
        self._tables = tables if columns else None

    def plan(self, columns: Sequence[Column], *, tainted: bool) -> RowPlan:
        """How to mask rows of these columns.

        `tainted`: the statement reads a table with a masked column, so what has no identity of
        its own may be made of it.
        """
        return RowPlan(self, columns, [self._style(column, tainted) for column in columns])

    def text(self, data: bytes) -> bytes:
        """One complete text masked: a field of an error or notice, a line of COPY."""
        if self._clean(data):
            return data
        text = data.decode("utf-8", "surrogateescape")
        found = spans(text, self.detect)
        self.counts.update(span.type for span in found if not span.continues)
        return masked(text, found, 0, len(text)).encode("utf-8", "surrogateescape")

    def copy_stream(self) -> Mask:
        """A masker for COPY data that comes in pieces; it keeps its own counts."""
        return new_stream(self._masking)

    def take_counts(self) -> dict[str, int]:
        """How many values of each type (`column` for whole cells) were masked since last time."""
        counts, self.counts = dict(self.counts), Counter()
        return counts

    def _style(self, column: Column, tainted: bool) -> Style | None:
        computed = column.table_oid == 0
        unknown = self._tables is not None and column.table_oid not in self._tables
        if tainted if computed else unknown:
            return None if column.type_oid in INNOCENT else Style.REDACT
        if column.attnum == 0 and column.table_oid in self._masked:
            return Style.REDACT  # the whole row as one value
        return self._columns.get((column.table_oid, column.attnum))


class RowPlan:
    """What to do with each cell of one result."""

    def __init__(
        self, mask: RowMask, columns: Sequence[Column], styles: Sequence[Style | None]
    ) -> None:
        self._mask = mask
        self._columns = list(columns)
        self._styles = list(styles)
        self._fixed = [i for i, style in enumerate(styles) if style is not None]
        searched = [i for i, style in enumerate(styles) if style is None] if mask.detect else []
        kinds = [(i, columns[i].type_oid, columns[i].binary) for i in searched]
        hidden = [i for i, oid, binary in kinds if is_opaque(oid, binary=binary)]
        self._plain = [i for i in searched if i not in hidden]
        self._integers = [i for i, oid, binary in kinds if is_integer(oid, binary=binary)]
        self._opaque = [i for i in hidden if i not in self._integers]
        self._bits = sum(1 << DETECTORS.index(name) for name in mask.detect)
        self._block_styles = bytes(map(self._block_style, range(len(columns))))

    def _block_style(self, i: int) -> int:
        """What `blocks.mask` may do with a column by itself."""
        style, column = self._styles[i], self._columns[i]
        if style is not None:
            text = form_of(column.type_oid, binary=column.binary) is Form.TEXT
            return _BLOCK_STYLES.get(style, plain.ASK) if text else plain.ASK
        if i in self._integers:
            return plain.INTEGER
        if i in self._opaque:
            return plain.ASK
        return plain.SEARCH if i in self._plain else plain.LEAVE

    def rows(self, block: bytes) -> bytes:
        """Whole DataRow messages, masked."""
        shown, stars = blocks.mask(
            block,
            len(self._columns),
            self._block_styles,
            self._bits,
            self._mask.prefilter.in_rows,
            self._row,
        )
        if stars:
            self._mask.counts["column"] += stars
        return shown

    def _row(self, message: bytes) -> bytes:
        (_, cells), *_ = plain.rows(message, len(self._columns))
        return plain.message(self.apply(cells))

    @property
    def active(self) -> bool:
        """May this plan change any cell?"""
        return bool(self._fixed or self._plain or self._integers or self._opaque)

    def apply(self, cells: list[bytes | None]) -> list[bytes | None]:
        """The cells of one row as they may be shown."""
        if len(cells) != len(self._columns):
            msg = "a row does not have the columns that were described"
            raise ValueError(msg)
        todo = self._opaque
        if self._integers:
            todo = [*todo, *(i for i in self._integers if plain.is_long_integer(cells[i] or b"00"))]
        if self._plain and self._mask.prefilter(b"\n".join(filter(None, cells))):
            worth = self._mask.prefilter
            todo = [*(i for i in self._plain if worth(cells[i] or b"")), *todo]
        if not (todo or self._fixed):
            return cells
        shown = list(cells)
        for i in self._fixed:
            shown[i] = self._fix(cells[i], self._columns[i], self._styles[i] or Style.REDACT)
        for i in todo:
            shown[i] = self._search(cells[i], self._columns[i])
        return shown

    def _fix(self, cell: bytes | None, column: Column, style: Style) -> bytes | None:
        """A whole cell in a style."""
        if cell is None:
            return None
        self._mask.counts["column"] += 1
        form = form_of(column.type_oid, binary=column.binary)
        if form is Form.CLOSED:
            return None
        head, text = _split(cell, column)
        if form is Form.TEXT:
            value = mask_value(text, style, self._mask.key)
        elif len(text) < 2:
            return None
        else:
            opening, closing = _ENDS[form]
            value = opening + stars(text[1:-1]) + closing
        return head + value.encode("utf-8", "surrogateescape")

    def _search(self, cell: bytes | None, column: Column) -> bytes | None:
        """A cell with the values in it masked; None when its type has no way to show that."""
        if not cell:
            return cell
        form = form_of(column.type_oid, binary=column.binary)
        if form is Form.CLOSED:
            return self._pass_or_null(cell, column)
        head, text = _split(cell, column)
        found = spans(text, self._mask.detect)
        if not found:
            return cell
        self._mask.counts.update(span.type for span in found if not span.continues)
        value = masked(text, found, 0, len(text))
        if form is Form.JSON and not _is_json(value):
            return None  # the value was a bare number
        return head + value.encode("utf-8", "surrogateescape")

    def _pass_or_null(self, cell: bytes, column: Column) -> bytes | None:
        try:
            text = text_of(cell, column.type_oid, binary=column.binary)
        except (ValueError, struct_error):
            return None  # not what its type says
        found = spans(text, self._mask.detect)
        self._mask.counts.update(span.type for span in found if not span.continues)
        return None if found else cell


def _split(cell: bytes, column: Column) -> tuple[bytes, str]:
    """A cell's text, and before it the version byte of a binary jsonb."""
    size = 1 if column.binary and column.type_oid == JSONB else 0
    return cell[:size], cell[size:].decode("utf-8", "surrogateescape")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
