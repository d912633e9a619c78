"""What a text may do by the words in it alone, and what makes it unreadable."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.wire import frontend

if TYPE_CHECKING:
    from collections.abc import Callable

RETURNING = re.compile(r"\breturning\b", re.IGNORECASE)
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
    if deferred() and "execute" in frontend.words(decoded):
        return text, NO_EXECUTE
    return None
