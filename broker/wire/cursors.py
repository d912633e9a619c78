"""Rows of one cursor count together, in however many slices they are fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.wire.ledger import Ledger, Owed, Result

_FETCH = re.compile(r"\bfetch\b", re.IGNORECASE)
_NAME = r"""(?P<name>[a-z_][a-z0-9_$]*|"[^"]+")"""
_ONE_FETCH = re.compile(
    r"\s*fetch\s+(?:(?:next|prior|first|last|all|(?:absolute\s+|relative\s+)?[+-]?\d+"
    r"|(?:forward|backward)(?:\s+(?:\d+|all))?)\s+)?(?:(?:from|in)\s+)?" + _NAME + r"\s*;?\s*",
    re.IGNORECASE,
)
_ONE_DECLARE = re.compile(r"\s*declare\s+" + _NAME + r"\s[^;]*;?\s*", re.IGNORECASE)
UNCLEAR = ""  # the cursor of a text that is not plainly one FETCH


def go_on(ledger: Ledger, text: str, result: Result, portal: bytes = b"") -> None:
    """Before a text runs (in a portal, if named): its rows count with those before it."""
    if result.terms.later and result.terms.max_rows is not None:
        cursor = fetched(text)
        if cursor is not None:
            ledger.carry(cursor, result)
    if ledger.fetched and portal.decode("utf-8", "replace") in ledger.fetched:
        ledger.carry(portal.decode("utf-8", "replace"), result)


def begins(ledger: Ledger, text: str, owed: Owed) -> None:
    """The cursor that a text declares is a new one, once the server has said so."""
    owed.declares = declared(text) if ledger.fetched else None


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
