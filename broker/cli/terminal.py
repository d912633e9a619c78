"""The terminal that the command itself runs in, as a console's Client (for playing)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from typing import TYPE_CHECKING

from broker.console.client import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable


class OwnTerminal:
    """Standard input and output of this process."""

    json = False

    @property
    def terminal(self) -> Terminal:
        """Its type and size."""
        size = shutil.get_terminal_size()
        return Terminal(os.environ.get("TERM", "dumb"), size.columns, size.lines)

    async def read(self) -> bytes:
        """Nothing is typed: Ctrl-C ends the process itself."""
        await asyncio.Event().wait()
        return b""

    async def write(self, data: bytes) -> None:
        """Print."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    async def write_error(self, data: bytes) -> None:
        """Print."""
        sys.stderr.buffer.write(data)

    def on_resize(self, call: Callable[[Terminal], None] | None) -> None:
        """A player does not care."""

    def on_signal(self, call: Callable[[str], None] | None) -> None:
        """A player does not care."""
