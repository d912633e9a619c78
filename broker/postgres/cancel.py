"""Which session a CancelRequest means: by the key that we gave out, for the same identity only."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from broker.model import Identity


@dataclass(frozen=True, slots=True)
class _Entry:
    identity: Identity
    act: Callable[[], Awaitable[None]]


class Cancels:
    """The keys of all sessions on this node. A key is ours, never the target's."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}

    def register(self, identity: Identity, act: Callable[[], Awaitable[None]]) -> bytes:
        """Give out a new key (process id and secret, eight bytes) for one session."""
        number = secrets.randbits(63) | 1 << 32  # a process id is positive
        key = number.to_bytes(8, "big")
        self._entries[key] = _Entry(identity, act)
        return key

    def remove(self, key: bytes) -> None:
        """The session is over."""
        self._entries.pop(key, None)

    async def cancel(self, key: bytes, identity: Identity) -> bool:
        """Stop what runs or waits in that session. Nothing happens for somebody else's key."""
        entry = self._entries.get(key)
        if entry is None or str(entry.identity) != str(identity):
            return False
        await entry.act()
        return True
