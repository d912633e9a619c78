"""Which function of a text may do more than compute."""

from __future__ import annotations

from broker.errors import Unparsable
from broker.policy import sql


def other_code(text: str, what: str) -> str | None:
    """Why `what`, written like this, may do more than compute; None when it does not."""
    try:
        parts = sql.facts(text).parts
    except Unparsable:
        return f"{what} is not understood"
    name = next((p.function for p in parts if p.function is not None and not p.implied), None)
    return None if name is None else f"{what} calls {name}, which may do more than compute"
