"""Is a typed text complete? sqlparse's opinion, for the line editor; psql has the last word.

Nothing is judged here. A wrong answer costs the person one more Enter: a text taken too early is
continued at psql's own continuation prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlparse
from sqlparse import tokens
from sqlparse.exceptions import SQLParseError

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE_LIMIT = 16 * 1024  # sqlparse needs 60 ms for 10 KB
WORDS = frozenset({"help", "quit", "exit"})  # psql's own, as the first word of a statement

_OPENING = {"(": 1, ")": -1}


def is_complete(text: str) -> bool:
    """Would psql run this text now? A meta-command always; SQL when it ends with its semicolon."""
    stripped = text.strip()
    if not stripped or stripped.startswith("\\") or stripped in WORDS or len(text) > SIZE_LIMIT:
        return True
    try:
        return _ends(sqlparse.lexer.tokenize(text))  # type: ignore[no-untyped-call]
    except (SQLParseError, RecursionError):
        return True


def count(text: str) -> int | None:
    """How many statements sqlparse sees; None when it cannot say."""
    if len(text) > SIZE_LIMIT:
        return None
    try:
        return len([part for part in sqlparse.split(text) if part.strip(" \t\r\n;")])
    except (SQLParseError, RecursionError):
        return None


def _ends(found: Iterable[tuple[object, str]]) -> bool:
    """Nothing open, and the last token that is not blank or comment is a semicolon."""
    last = before = ""
    depth = 0
    for kind, value in found:
        opens_comment = before == "/" and value == "*"  # a closed one is a token of its own
        if opens_comment or (kind in tokens.Error and value in ("'", '"', "$")):
            return False
        before = value
        if kind not in tokens.Whitespace and kind not in tokens.Comment:
            depth += _OPENING.get(value, 0)
            last = value
    return not last or (last == ";" and depth <= 0)
