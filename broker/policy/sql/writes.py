"""Which statements change rows in a way that can be counted, estimated or tried out beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import Unparsable
from broker.policy.sql import grammar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.policy.sql.grammar import Json

WRITES = {
    "InsertStmt": "insert",
    "UpdateStmt": "update",
    "DeleteStmt": "delete",
    "MergeStmt": "merge",
}
ACTIONS = frozenset({*WRITES.values(), "copy_from", "truncate"})  # what a bound on rows is about
_ONE = "send it as one statement by itself"


@dataclass(frozen=True, slots=True)
class Plain:
    """An INSERT, UPDATE or DELETE that names one table and no other; `schema` as it was written."""

    action: str
    table: str
    schema: str | None
    defaults: bool  # may it use the defaults of columns?


def uncountable(text: str) -> str | None:
    """Why the rows that a text changes are not those of its CommandComplete; None: they are."""
    found = _only(text)
    if found is None:
        return f"what it changes cannot be counted; {_ONE}"
    kind, body = found
    if kind == "CopyStmt" and body.get("is_from"):
        return None
    if kind not in WRITES:
        return "what it changes cannot be counted: it is no plain INSERT, UPDATE, DELETE or MERGE"
    if any(name in WRITES for name, _ in _nodes(body)):
        return "what it changes cannot be counted: a part of it writes, too"
    return None


def unexplainable(text: str) -> str | None:
    """Why EXPLAIN says nothing about a text; None: it does."""
    found = _only(text)
    if found is None:
        return "several statements in one"
    return None if found[0] in {"SelectStmt", *WRITES} else "only queries and writes have a plan"


def plain(text: str) -> Plain | str:
    """The one table that a plain write is about, or why it is not a plain one."""
    found = _only(text)
    if found is None:
        return "it is several statements in one"
    kind, body = found
    if kind not in {"InsertStmt", "UpdateStmt", "DeleteStmt"}:
        return "it is no INSERT, UPDATE or DELETE"
    if body.get("withClause") or any(name == "RangeVar" for name, _ in _nodes(body)):
        return "it names more than one table"
    relation = body["relation"]
    defaults = kind == "InsertStmt" or any(name == "SetToDefault" for name, _ in _nodes(body))
    return Plain(WRITES[kind], relation["relname"], relation.get("schemaname"), defaults)


def _only(text: str) -> tuple[str, Json] | None:
    """The kind and the tree of a text that is exactly one statement."""
    try:
        statements = grammar.parse(text)
    except Unparsable:
        return None
    if len(statements) != 1:
        return None
    ((kind, body),) = statements[0].items()
    return kind, body


def _nodes(tree: Json) -> Iterator[tuple[str, Json]]:
    """Every named member of a tree, at any depth."""
    left = [tree]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield from each.items()
            left += each.values()
        elif isinstance(each, list):
            left += each
