"""The person's end of one session channel, as consoles see it; the SSH listener implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal's type (``xterm-256color``) and size in character cells."""

    type: str
    columns: int
    rows: int


class Client(Protocol):
    """One session channel, in bytes; writes wait while the client does not read."""

    @property
    def terminal(self) -> Terminal | None:
        """The terminal as it is now, or None when the client asked for none."""

    @property
    def json(self) -> bool:
        """Did the client ask for refusals and waits as JSON lines (``INTERLOCK_FORMAT=json``)?"""

    async def read(self) -> bytes:
        """The next bytes typed or piped in; ``b""`` at the end of input.

        Raises ConnectionError when the client is gone.
        """

    async def write(self, data: bytes) -> None:
        """Standard output. Returns when the channel has taken it (backpressure)."""

    async def write_error(self, data: bytes) -> None:
        """Standard error (the same as output to a person with a terminal)."""

    def on_resize(self, call: Callable[[Terminal], None] | None) -> None:
        """Call this at each window change from now on (one listener; None for none)."""

    def on_signal(self, call: Callable[[str], None] | None) -> None:
        """Call this with the name (``INT``, ``TERM``...) of a signal that the client sends."""
