"""What is masked on a target, by PostgreSQL's own numbers; asked once, before a session begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.mask.columns import resolve_columns, rules_of, strictest
from broker.policy.sql.names import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.mask.rules import Style
    from broker.model import Facts
    from broker.postgres.upstream import Upstream

    Styles = dict[tuple[int, int], Style]

_COLUMNS = """
SELECT a.attrelid, a.attnum, n.nspname, c.relname, a.attname
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S')
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
class Masked:
    """The masked columns of a target, and what is known to be free of them.

    A table or view that is in neither was made or renamed since, and may hold anything.
    """

    styles: Mapping[tuple[int, int], Style] = field(default_factory=dict)
    tables: frozenset[int] = frozenset()  # every one that there was, by oid
    clean: frozenset[str] = frozenset()  # those without a masked column, named as Facts do

    def tainted(self, facts: Facts) -> bool:
        """May a statement's own values be made of masked ones? Code may read any table."""
        if not self.styles:
            return False
        return _runs_code(facts) or not self.clean.issuperset(facts.tables)


def _runs_code(facts: Facts) -> bool:
    """Does it run code that is not in its text, or not in SQL?"""
    return any(
        part.action in {"do", "call"} or (part.function is not None and not part.implied)
        for part in facts.parts
    )


async def masked(upstream: Upstream, rules: Mapping[str, Style], target: str) -> Masked:
    """What the rules (``target:schema.table.column``, ``*`` in any part) mask on this target.

    When several rules mask a column, the strictest style counts. Partitions and children are
    masked like their parent, and it like them. A view has numbers of its own and may have renamed
    or computed anything, so every column of a view that reads a masked column is masked.
    """
    if not rules_of(rules, target):
        return Masked()
    columns = []
    for cells in await upstream.query(_COLUMNS):
        oid, attnum, schema, table, name = [(cell or b"").decode() for cell in cells]
        columns.append((int(oid), int(attnum), schema, table, name))
    styles = resolve_columns(rules, target, columns)
    if not styles:
        return Masked()
    children = [(p, c) for p, c in await _numbers(upstream, _CHILDREN)]
    children += [(c, p) for p, c in children]  # what is read through either is the other's
    views = [(r, n, v) for r, n, v in await _numbers(upstream, _VIEWS)]
    names: dict[int, dict[str, int]] = {}
    for number, place, _, _, column in columns:
        names.setdefault(number, {})[column] = place
    while _to_children(styles, names, children) or _to_views(styles, names, views):
        pass
    unclean = {oid for oid, _ in styles}
    clean = {dotted(schema, table) for n, _, schema, table, _ in columns if n not in unclean}
    return Masked(styles, frozenset(names), frozenset(clean))


async def _numbers(upstream: Upstream, query: str) -> list[list[int]]:
    return [[int(cell or b"0") for cell in cells] for cells in await upstream.query(query)]


def _to_children(
    styles: Styles, names: dict[int, dict[str, int]], children: list[tuple[int, int]]
) -> bool:
    """One step to columns of the same name, up or down; False when nothing was new."""
    changed = False
    for parent, child in children:
        below = names.get(child, {})
        for name, attnum in names.get(parent, {}).items():
            if (parent, attnum) in styles and name in below:
                changed |= _add(styles, (child, below[name]), styles[parent, attnum])
    return changed


def _to_views(
    styles: Styles, names: dict[int, dict[str, int]], views: list[tuple[int, int, int]]
) -> bool:
    """One step on to views, from the column that one reads, or (0) from the whole row."""
    changed = False
    for read, number, view in views:
        numbers = names.get(read, {}).values() if number == 0 else [number]
        found = [styles[read, each] for each in numbers if (read, each) in styles]
        for attnum in names.get(view, {}).values() if found else ():
            changed |= _add(styles, (view, attnum), strictest(found))
    return changed


def _add(styles: Styles, column: tuple[int, int], style: Style) -> bool:
    before = styles.get(column)
    styles[column] = strictest([style, before]) if before else style
    return styles[column] is not before
