"""Questions about a piece of shfmt's typed tree, before it is taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broker.policy.shell.scope import SETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Json = Mapping[str, Any]

POSITION = {"Offset", "Line", "Col"}  # another object may have an Offset, too: ${x:0:2}
PLACE = {"Type", "Pos", "End"}


def unknown_keys(node: Json, known: set[str]) -> list[str]:
    """The keys of a node that are not known here, leaving out positions and empty values."""
    return [
        key
        for key, value in node.items()
        if key not in known and key not in PLACE and value and not _is_position(value)
    ]


def _is_position(value: object) -> bool:
    return isinstance(value, dict) and set(value) == POSITION


def has_document(node: object) -> bool:
    """Does it hold a here-document or here-string?"""
    return any(str(each.get("Op", "")).startswith("<<") for each in _objects(node))


def assigned(node: object) -> frozenset[str] | None:
    """The variables that it may set; None when they cannot be listed."""
    found: set[str] = set()
    for each in _objects(node):
        for one in each.get("Assigns", ()):
            found.add(str(one["Name"]["Value"]))
        if each.get("Type") == "WordIter":
            found.add(str(each["Name"]["Value"]))
        if each.get("Type") == "DeclClause":
            return None
        if each.get("Type") == "CallExpr" and _program(each) in SETTERS:
            return None
    return frozenset(found)


def leaves_early(node: object) -> bool:
    """Does a loop's body hold a `break` or `continue`?"""
    calls = (each for each in _objects(node) if each.get("Type") == "CallExpr")
    return any(_program(each) in ("break", "continue", "read") for each in calls)


def _program(call: Json) -> str:
    """A command's name; one that quotes, backslashes or a wrapper hide counts as a setter."""
    arguments = call.get("Args")
    if not arguments:
        return ""
    parts = arguments[0].get("Parts", ())
    plain = len(parts) == 1 and parts[0].get("Type") == "Lit" and "\\" not in parts[0]["Value"]
    return str(parts[0]["Value"]) if plain else "read"


def _objects(node: object) -> Iterator[Json]:
    todo = [node]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            yield each
            todo.extend(each.values())
        elif isinstance(each, list):
            todo.extend(each)
