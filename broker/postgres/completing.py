"""Completion at the SQL prompt: keywords, meta-commands, and the names that the rules permit.

Nothing is judged here: what is permitted is asked of the judge, for the few names that fit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.console import colours
from broker.console.completing import Found
from broker.model import Answer, Language, Statement
from broker.policy.sql.names import dotted
from broker.postgres import metacommands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from broker.gate import Gate
    from broker.postgres.known import Names

CANDIDATES = 300  # names asked about for one Tab
PUBLIC = "public"
_WORD = re.compile(r'(?:[\w$]|"[^"]*"?|\.)*$')
_BEFORE_TABLE = re.compile(
    r'\b(?:from|join|update|into|table|only|truncate|copy|analyze|vacuum)\s+(?:[\w."]+\s*,\s*)*$',
    re.IGNORECASE,
)
_USED = re.compile(
    r'\b(?:from|join|update|into|,)\s+([\w."]+)(?:\s+(?:as\s+)?([A-Za-z_]\w*))?', re.IGNORECASE
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_META = re.compile(r"\s*(\\\S*)(\s+)?([\w.]*)$")
_USES = (  # judged, never sent
    "SELECT * FROM {}",
    "INSERT INTO {} DEFAULT VALUES",
    "UPDATE {} SET a = 1 WHERE a = 2",
    "DELETE FROM {} WHERE a = 1",
)
TEXT = 4096  # characters before the cursor that are looked at


class Completer:
    """Answers for one session."""

    def __init__(self, names: Names, permitted: Callable[[str, str], bool]) -> None:
        self._names = names
        self._permitted = permitted

    def __call__(self, before: str) -> Found:
        """What may stand at the end of this text."""
        before = before[-TEXT:]
        if before.lstrip().startswith("\\"):
            return self._meta(before)
        if _inside_text(before):
            return Found("")
        word = before[_WORD.search(before).start() :]  # type: ignore[union-attr]  # it may be empty
        rest = before[: len(before) - len(word)]
        owner, dot, name = word.rpartition(".")
        if dot:
            found = self._owned(owner, before)
            return Found(name, _fitting(name, found), last="")
        if _BEFORE_TABLE.search(rest):
            return Found(word, _fitting(word, self._spoken_tables()))
        columns = self._columns(before, word)
        words = [*_keywords(word), *(columns if word or self._used(before) else ())]
        return Found(word, _fitting(word, words) if word or columns else ())

    # -- names ---------------------------------------------------------------------------------

    def _tables(self, schema: str | None = None, begins: str = "") -> Iterator[tuple[str, str]]:
        asked = 0
        for name in self._names.tables:
            if (schema in (None, name[0])) and name[1].lower().startswith(begins):
                asked += 1
                if asked > CANDIDATES:
                    return
                if self._permitted(*name):
                    yield name

    def _spoken_tables(self) -> Iterator[str]:
        """Tables as a statement names them, and the schemas that have any."""
        for schema, table in self._tables():
            yield _quoted(table) if schema == PUBLIC else f"{_quoted(schema)}.{_quoted(table)}"

    def _owned(self, owner: str, before: str) -> Iterator[str]:
        """What follows ``owner.``: the tables of a schema, or the columns of a table or alias."""
        owner = _unquoted(owner)
        for _, table in self._tables(schema=owner):
            yield _quoted(table)
        for name in self._used(before, alias=owner):
            yield from map(_quoted, self._names.tables[name])

    def _columns(self, before: str, word: str) -> list[str]:
        """Columns of the tables that the text names; of any table when it names none yet."""
        used = self._used(before)
        tables = used if used or not word else list(self._tables())
        found = (column for name in tables for column in self._names.tables[name])
        return [_quoted(c) for c in found if c.lower().startswith(_unquoted(word).lower())]

    def _used(self, before: str, alias: str | None = None) -> list[tuple[str, str]]:
        """The permitted tables that the text names (under this alias)."""
        found = []
        for match in _USED.finditer(before):
            schema, _, table = match[1].rpartition(".")
            name = (_unquoted(schema) or PUBLIC, _unquoted(table))
            named = alias is None or alias in (match[2], name[1])
            if named and name in self._names.tables and self._permitted(*name):
                found.append(name)
        return list(dict.fromkeys(found))

    def _meta(self, before: str) -> Found:
        match = _META.fullmatch(before)
        if match is None:
            return Found("")
        if match[2] is None:
            fitting = [name for name in metacommands.OFFERED if name.startswith(match[1])]
            return Found(match[1], tuple(fitting))
        if match[1].startswith("\\d") or match[1] == "\\z":
            return Found(match[3], _fitting(match[3], self._spoken_tables()))
        return Found("")


def permitted_by(gate: Gate) -> Callable[[str, str], bool]:
    """May this session's identity read or change a table, be it after a review?"""

    def permitted(schema: str, table: str) -> bool:
        name = dotted(schema, table)
        if not gate.may_show(name):
            return False
        where = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
        return any(
            gate.foresee(Statement(Language.SQL, use.format(where))).answer is not Answer.DENY
            for use in _USES
        )

    return permitted


def _inside_text(before: str) -> bool:
    """Is the cursor inside a string or a comment, as far as can be seen?"""
    last = colours.sql(before)[-1]
    style, text = last[-1] if last else ("", "")
    if style == "class:string":
        return len(text) < 2 or text[-1] not in "'$"
    return style == "class:comment" and not text.endswith("*/")


def _keywords(word: str) -> list[str]:
    lower = word.islower()
    return [each.lower() if lower else each for each in sorted(colours.KEYWORDS)] if word else []


def _fitting(word: str, words: Iterable[str]) -> tuple[str, ...]:
    begins = _unquoted(word).lower()
    return tuple(sorted({each for each in words if _unquoted(each).lower().startswith(begins)}))


def _quoted(name: str) -> str:
    """A name as a statement must write it."""
    plain = _PLAIN.fullmatch(name) and name.upper() not in colours.KEYWORDS
    return name if plain else '"' + name.replace('"', '""') + '"'


def _unquoted(name: str) -> str:
    return name.replace('"', "")
