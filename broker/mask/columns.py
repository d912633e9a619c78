"""Which columns of a database the `columns:` rules mean, by PostgreSQL's own identities."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from broker.mask.rules import Style

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Where several patterns meet in one column, the first of these wins.
_STRICTEST = (Style.REDACT, Style.PSEUDONYM, Style.PARTIAL)


def strictest(styles: Iterable[Style]) -> Style:
    """The one that shows least."""
    return min(styles, key=_STRICTEST.index)


def rules_of(rules: Mapping[str, Style], target: str) -> dict[str, Style]:
    """The rules that may concern this target, whatever pattern names it."""
    return {rule: style for rule, style in rules.items() if fnmatchcase(target, _parts(rule)[0])}


def resolve_columns(
    rules: Mapping[str, Style],
    target: str,
    catalogue: Iterable[tuple[int, int, str, str, str]],
) -> dict[tuple[int, int], Style]:
    """The styles by (table oid, attribute number), from rules as ``target:schema.table.column``.

    `catalogue` lists (table oid, attribute number, schema, table, column); each part of a pattern
    may hold ``*``. A rule that cannot be read raises ValueError: it must not be left out silently.
    """
    mine = [(_parts(rule)[1:], style) for rule, style in rules_of(rules, target).items()]
    found: dict[tuple[int, int], Style] = {}
    for oid, attnum, *names in catalogue if mine else ():
        styles = {style for parts, style in mine if all(map(fnmatchcase, names, parts))}
        if styles:
            found[oid, attnum] = strictest(styles)
    return found


def _parts(pattern: str) -> tuple[str, str, str, str]:
    target, colon, name = pattern.partition(":")
    parts = name.split(".")
    if not (target and colon and len(parts) == 3 and all(parts)):
        msg = f"not a target:schema.table.column: {pattern}"
        raise ValueError(msg)
    return target, parts[0], parts[1], parts[2]
