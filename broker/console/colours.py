"""SQL in colours as it is typed: a lexer for the eye alone, which judges nothing.

One pass of one pattern without backtracking, over text that is already free of control characters;
a wrong colour is the worst that a hostile text can get.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from sqlparse import keywords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Piece: TypeAlias = tuple[str, str]
    Paint: TypeAlias = Callable[[str], list[list[Piece]]]

LIMIT = 4096  # characters; longer text stays plain, for each key paints it anew
STYLE = {
    "keyword": "ansiblue bold",
    "string": "ansigreen",
    "number": "ansicyan",
    "comment": "ansibrightblack",
    "meta": "ansimagenta",
    "listed": "ansicyan",
}
_MORE = """
ALTER ANALYZE ASC BEGIN BETWEEN BY CASCADE COMMIT COPY CREATE CROSS DATABASE DEFAULT DESC EXISTS
EXPLAIN FALSE FOR FULL FUNCTION GRANT IF ILIKE INDEX INTERSECT INTERVAL LATERAL MATERIALIZED NULL
OFFSET OVER PARTITION RECURSIVE RETURNING REVOKE ROLLBACK SAVEPOINT SCHEMA SHOW TABLE TRANSACTION
TRUE TRUNCATE USING VACUUM VALUES VIEW WINDOW WITH
"""
KEYWORDS = frozenset(
    word.upper() for word in (*keywords.KEYWORDS_COMMON, *keywords.KEYWORDS_PLPGSQL, *_MORE.split())
)
_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?)"""
    r"""|(?P<string>'[^']*'?|\$(?P<tag>[A-Za-z_]*)\$[^$]*(?:\$(?P=tag)\$)?)"""
    r"""|(?P<quoted>"[^"]*"?)"""
    r"""|(?P<number>\b[0-9]+(?:\.[0-9]+)?\b)"""
    r"""|(?P<word>[^\W\d]\w*)"""
    r"""|(?P<meta>\\\S*)"""
    r"""|(?P<other>.)""",
    re.DOTALL,
)


def plain(text: str) -> list[list[Piece]]:
    """Each line without colours."""
    return [[("", line)] for line in text.split("\n")]


def sql(text: str) -> list[list[Piece]]:
    """Each line as pieces of one style."""
    if len(text) > LIMIT:
        return plain(text)
    lines: list[list[Piece]] = [[]]
    for style, piece in _pieces(text):
        first, *more = piece.split("\n")
        _add(lines[-1], style, first)
        for line in more:
            lines.append([])
            _add(lines[-1], style, line)
    return lines


def _pieces(text: str) -> Iterator[Piece]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "word":
            kind = "keyword" if match[0].upper() in KEYWORDS else ""
        yield (f"class:{kind}" if kind in STYLE else ""), match[0]


def _add(line: list[Piece], style: str, text: str) -> None:
    if text and line and line[-1][0] == style:
        line[-1] = (style, line[-1][1] + text)
    elif text:
        line.append((style, text))
