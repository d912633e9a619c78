"""Names as people read them, from the key ids (``kind:name@issuer``) that the broker tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """A key id taken apart. The text is somebody else's: show it through tui.text only."""

    name: str
    kind: str
    issuer: str


def person(key_id: str) -> Person:
    """``human:alice@example.com@corp`` is alice@example.com, a human, of corp."""
    kind, colon, rest = key_id.partition(":")
    if not colon:
        return Person(key_id, "", "")
    name, _, issuer = rest.rpartition("@")
    return Person(name or issuer, kind, issuer if name else "")
