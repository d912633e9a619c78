"""A statement without its comments and with its constants beside it, as values.

It is for the target's planner: what nobody has approved yet is not sent as it stands. Whether the
outline means the same is not assumed: its fingerprint must be that of the statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import Unparsable
from broker.policy.sql import grammar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.policy.sql.grammar import Json

# Constants that must stay where they are: a number there is a place or a length, not a value.
_FIXED = frozenset({"sortClause", "groupClause", "distinctClause", "typmods", "options"})
_TOKEN = re.compile(
    rb"(?P<comment>--[^\n]*)|(?P<nested>/\*)|(?P<string>'(?:[^']|'')*')"
    rb'|(?P<other>"(?:[^"]|"")*"|(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)|\$\d+|[A-Za-z_]\w*)'
    rb"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|.",
    re.DOTALL,
)
_PREFIXED = re.compile(rb"(?i:[EBXN]|U&)$")  # of a string that is no plain one


@dataclass(frozen=True, slots=True)
class Outline:
    """The text, and the values of the parameters that come after those that it had."""

    text: str
    values: tuple[bytes, ...]


def outline(text: str, parameters: int) -> Outline | None:
    """The outline of one statement with so many parameters; None when it has none that is sure."""
    try:
        places = set(_places(grammar.parse(text)))
        made = _made(text.encode(), places, parameters)
        same = grammar.fingerprint(made.text) == grammar.fingerprint(text)
    except (Unparsable, UnicodeDecodeError, RecursionError):
        return None
    return made if same else None


def _places(trees: Json) -> Iterator[int]:
    """Where the constants are that may be values, in bytes."""
    left = list(trees)
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            cast = each.get("TypeCast", {})
            typed = cast.get("typeName", {}).get("location", -1)
            const = each.get("A_Const", {})
            if "location" in const and "isnull" not in const and "boolval" not in const:
                yield const["location"]
            elif cast.get("arg", {}).get("A_Const", {}).get("location", -1) > typed >= 0:
                continue  # `interval '1 day'` needs its constant
            else:
                left += [value for name, value in each.items() if name not in _FIXED]


def _made(data: bytes, places: set[int], parameters: int) -> Outline:
    out, values, at = bytearray(), [], 0
    while at < len(data):
        found = _TOKEN.match(data, at)
        if found is None:
            msg = "the statement is not understood"
            raise Unparsable(msg, at)
        kind, token, start = found.lastgroup, found[0], at
        at = found.end()
        if kind == "nested":
            at = _past_comment(data, at)
        if kind in {"nested", "comment"}:
            out += b" "
        elif start in places and kind in {"string", "number"} and not _PREFIXED.search(out):
            values.append(token[1:-1].replace(b"''", b"'") if kind == "string" else token)
            out += b"$%d" % (parameters + len(values))
        else:
            out += token
    return Outline(out.decode(), tuple(values))


def _past_comment(data: bytes, at: int) -> int:
    depth = 1
    while depth:
        opened, closed = data.find(b"/*", at), data.find(b"*/", at)
        if closed < 0:
            msg = "a comment does not end"
            raise Unparsable(msg, at)
        deeper = 0 <= opened < closed
        depth += 1 if deeper else -1
        at = (opened if deeper else closed) + 2
    return at
