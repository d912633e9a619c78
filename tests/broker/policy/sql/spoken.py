"""Parts written as short lines, so that tables of tests can be read."""

from __future__ import annotations

from broker.policy.sql import facts


def parts(text: str) -> set[str]:
    """Every part of a text: ``!`` only by name, ``~`` implied, ``unbounded`` at the end."""
    return {
        ("!" if part.explicit else "~" if part.implied else "")
        + str(part)
        + (" unbounded" if part.unbounded else "")
        for part in facts(text).parts
    }
