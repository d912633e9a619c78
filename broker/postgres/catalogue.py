"""Which columns of a target are masked, by number; asked once, before a session begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.model import Facts
    from broker.postgres.upstream import Upstream

_COLUMNS = """
SELECT a.attrelid, a.attnum, n.nspname, c.relname, a.attname
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
"""
_CHILDREN = "SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits"
_VIEWS = """
SELECT DISTINCT d.refobjid, d.refobjsubid, r.ev_class
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) d.objid
WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
  AND r.ev_class OPERATOR(pg_catalog.<>) d.refobjid
"""


@dataclass(frozen=True, slots=True)
class MaskedColumn:
    """One column that a rule masks. `pattern` is the rule's own pattern."""

    table_oid: int
    attnum: int
    schema: str
    table: str
    column: str
    pattern: str


async def masked_columns(upstream: Upstream, patterns: Iterable[str]) -> tuple[MaskedColumn, ...]:
    """The columns that patterns (``schema.table.column``, ``*`` in any part) name on this target.

    When several patterns name a column, the first one counts. Partitions and children are masked
    like their parent. A view has numbers of its own and may have renamed or computed anything, so
    every column of a view that reads a masked column is masked.
    """
    wanted = tuple(patterns)
    if not wanted:
        return ()
    columns, masked = [], {}
    for cells in await upstream.query(_COLUMNS):
        oid, attnum, schema, table, name = [(cell or b"").decode() for cell in cells]
        column = MaskedColumn(int(oid), int(attnum), schema, table, name, pattern="")
        columns.append(column)
        pattern = next((p for p in wanted if _names(p, [schema, table, name])), None)
        if pattern is not None:
            masked[column.table_oid, column.attnum] = pattern
    if masked:
        children = [(p, c) for p, c in await _numbers(upstream, _CHILDREN)]
        views = [(r, n, v) for r, n, v in await _numbers(upstream, _VIEWS)]
        while _spread(columns, masked, children, views):
            pass
    found = ((column, masked.get((column.table_oid, column.attnum))) for column in columns)
    return tuple(replace(column, pattern=pattern) for column, pattern in found if pattern)


async def _numbers(upstream: Upstream, query: str) -> list[list[int]]:
    return [[int(cell or b"0") for cell in cells] for cells in await upstream.query(query)]


def _spread(
    columns: list[MaskedColumn],
    masked: dict[tuple[int, int], str],
    children: list[tuple[int, int]],
    views: list[tuple[int, int, int]],
) -> bool:
    """Carry masks one step down to children and views. False when nothing was new."""
    before = len(masked)
    by_table: dict[int, list[MaskedColumn]] = {}
    for column in columns:
        by_table.setdefault(column.table_oid, []).append(column)

    def patterns(oid: int) -> dict[str, str]:
        own = by_table.get(oid, ())
        return {c.column: masked[oid, c.attnum] for c in own if (oid, c.attnum) in masked}

    for parent, child in children:
        above = patterns(parent)
        for column in by_table.get(child, ()):
            if column.column in above:
                masked.setdefault((child, column.attnum), above[column.column])
    for read, number, view in views:
        pattern = masked.get((read, number))
        if number == 0:  # the whole row
            pattern = next(iter(patterns(read).values()), None)
        for column in by_table.get(view, ()):
            if pattern is not None:
                masked.setdefault((view, column.attnum), pattern)
    return len(masked) > before


def tainted(facts: Facts, columns: Iterable[MaskedColumn]) -> bool:
    """Does a statement touch a table that has masked columns?"""
    tables = {f"{column.schema}.{column.table}" for column in columns}
    return not tables.isdisjoint(facts.tables)


def _names(pattern: str, names: list[str]) -> bool:
    parts = pattern.split(".")
    return len(parts) == len(names) and all(map(fnmatchcase, names, parts))
