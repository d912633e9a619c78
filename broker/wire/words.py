"""What a text may do by the words in it alone, and what makes it unreadable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Keywords cannot be written with escapes, so a text without the word cannot hold the command.
PREPARE = re.compile(r"\bprepare\b", re.IGNORECASE)
EXECUTE = re.compile(r"\bexecute\b", re.IGNORECASE)
COPY = re.compile(r"\bcopy\b", re.IGNORECASE)
CURSOR = re.compile(r"\b(?:declare|close)\b", re.IGNORECASE)
RETURNING = re.compile(r"\breturning\b", re.IGNORECASE)
_FETCH = re.compile(r"\bfetch\b", re.IGNORECASE)
_NAME = r"""(?P<name>[a-z_][a-z0-9_$]*|"[^"]+")"""
_ONE_FETCH = re.compile(
    r"\s*fetch\s+(?:(?:next|prior|first|last|all|(?:absolute\s+|relative\s+)?[+-]?\d+"
    r"|(?:forward|backward)(?:\s+(?:\d+|all))?)\s+)?(?:(?:from|in)\s+)?" + _NAME + r"\s*;?\s*",
    re.IGNORECASE,
)
_ONE_DECLARE = re.compile(r"\s*declare\s+" + _NAME + r"\s[^;]*;?\s*", re.IGNORECASE)
UNCLEAR = ""  # the cursor of a text that is not plainly one FETCH
NO_EXECUTE = "EXECUTE is not offered while a prepared statement needs approval for each run"


def unreadable(
    text: bytes, marker: bytes, deferred: Callable[[], bool]
) -> tuple[bytes, str] | None:
    """Why we and the server might not read the same, with the text as it may be told; or None.

    `deferred`: is there a parsed statement that needs approval for each run?
    """
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return text, "the statement is not UTF-8"
    if marker and marker in text:  # told without it: it must not get out
        return text.replace(marker, b"[marker]"), "the text holds this console's own marker"
    if "\0" in decoded:
        return text, "the statement holds a NUL byte"
    if EXECUTE.search(decoded) and deferred():
        return text, NO_EXECUTE
    return None


def fetched(text: str) -> str | None:
    """The cursor of which a text fetches; UNCLEAR when it is not plain, None when of none."""
    if _FETCH.search(text) is None:
        return None
    return _named(_ONE_FETCH.fullmatch(text)) or UNCLEAR


def declared(text: str) -> str | None:
    """The cursor that a text declares, when it plainly does that and nothing else."""
    return _named(_ONE_DECLARE.fullmatch(text))


def _named(found: re.Match[str] | None) -> str | None:
    if found is None:
        return None
    name = found["name"]
    return name[1:-1] if name.startswith('"') else name.lower()
