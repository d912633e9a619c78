"""A second opinion on where statements end, from sqlparse, for the eyes of an approver.

It is a note and no verdict. Measured over the 137 SQL texts of the corpora of evasions, it counts
more statements than PostgreSQL in two, both because it does not nest comments: refusing on that
would refuse one honest text and stop nothing that is not stopped anyway. It also takes milliseconds
for what the grammar does in microseconds, so it runs only when a person will read its answer.
"""

from __future__ import annotations

import sqlparse
from sqlparse.exceptions import SQLParseError

MAX_CHARACTERS = 2 * 1024  # it takes tens of milliseconds at this size


def count(text: str) -> int | None:
    """How many statements sqlparse sees; None when the text is too long or too odd for it."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        pieces = sqlparse.split(text, strip_semicolon=True)
    except SQLParseError:
        return None
    return sum(1 for piece in pieces if sqlparse.format(piece, strip_comments=True).strip(" ;\n\t"))


def doubt(text: str, truth: int) -> str:
    """What to tell an approver when another reader splits the text differently, or nothing."""
    other = count(text)
    if other is None or other == truth:
        return ""
    return f"PostgreSQL reads {truth} statement(s) here, sqlparse {other}: look twice"
