"""The rows of a target's catalogue as a `Catalogue`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from broker.policy.sql.catalogue import Catalogue, Relation, Routine
from broker.policy.sql.names import HARMLESS, dotted

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = Sequence[bytes | None]

BODY_LIMIT = 32 * 1024  # characters of a definition; a longer one is not looked into
UNREADABLE = "?"  # no SQL: what stands for it is explicit


def made_of(rows: Sequence[Row]) -> Catalogue:
    """One catalogue; its version is the digest of the rows."""
    content = hashlib.sha256()
    building = _Building()
    for row in rows:
        for cell in row:
            content.update(b"-" if cell is None else b"%d:%b" % (len(cell), cell))
        kind, *cells = [(cell or b"").decode("utf-8", "replace") for cell in row]
        building.add(kind, cells)
    return building.catalogue(content.hexdigest())


class _Building:
    """A catalogue that grows row by row."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, str]] = {}
        self._lists: dict[tuple[str, str], list[str]] = {}
        self._routines: dict[str, list[Routine]] = {}
        self._operators: dict[str, list[str]] = {}
        self._types: dict[str, list[str]] = {}
        self._dangerous: frozenset[str] = frozenset()

    def add(self, kind: str, cells: list[str]) -> None:
        """One row: what it is about, then a schema and a name."""
        if kind == "b":
            self._dangerous = frozenset(cells[0].split()) - HARMLESS
            return
        name, rest = dotted(cells[0], cells[1]), cells[2:]
        match kind:
            case "r":
                self._kinds[name] = (rest[0], _query(rest[0], rest[1]))
            case "u":
                self._list(name, "rules", rest[0] or UNREADABLE)
            case "i":
                below = dotted(rest[0], rest[1])
                self._list(name, "partitions" if rest[2] == "t" else "children", below)
                self._list(below, "parents", name)
            case "t":
                self._list(name, "instead", _function(*rest))
            case "f":
                self._routines.setdefault(name, []).append(_routine(rest))
            case "o":
                for called in {name, cells[1]} if cells[0] == "public" else {_operator(cells)}:
                    self._operators.setdefault(called, []).append(_function(*rest))
            case "d":
                own = cells[1] if cells[0] == "pg_catalog" else name
                self._types.setdefault(own, []).append(_function(*rest))

    def _list(self, name: str, what: str, value: str) -> None:
        self._lists.setdefault((name, what), []).append(value)

    def catalogue(self, version: str) -> Catalogue:
        """All of it."""
        return Catalogue(
            version,
            {name: self._relation(name, *kind) for name, kind in self._kinds.items()},
            {name: tuple(found) for name, found in self._routines.items()},
            {name: tuple(found) for name, found in self._operators.items()},
            {name: tuple(found) for name, found in self._types.items()},
            self._dangerous,
        )

    def _relation(self, name: str, kind: str, query: str) -> Relation:
        def of(what: str) -> tuple[str, ...]:
            return tuple(self._lists.get((name, what), ()))

        return Relation(
            kind, query, of("rules"), of("instead"), of("partitions"), of("children"), of("parents")
        )


def _query(kind: str, text: str) -> str:
    if kind not in {"v", "m"}:
        return ""
    return text if 0 < len(text) <= BODY_LIMIT else UNREADABLE


def _operator(cells: list[str]) -> str:
    return f"{cells[0]}.{cells[1]}"


def _function(schema: str, name: str) -> str:
    return dotted(name) if schema == "pg_catalog" else dotted(schema, name)


def _routine(cells: list[str]) -> Routine:
    language, kind, volatility, definer, opened, row, body = cells
    return Routine(
        language if kind in {"f", "w"} else {"a": "aggregate"}.get(kind, "procedure"),
        volatility,
        _statements(body),
        definer == "t",
        opened == "t",
        row == "t",
    )


def _statements(body: str) -> str:
    """The SQL of a function's body, whichever of its two forms it has."""
    text = body.strip()
    if len(text) > BODY_LIMIT:
        return ""
    if text.startswith("BEGIN ATOMIC") and text.endswith("END"):
        return text.removeprefix("BEGIN ATOMIC").removesuffix("END").strip() or "SELECT"
    return "SELECT " + text.removeprefix("RETURN ") if text.startswith("RETURN ") else text
