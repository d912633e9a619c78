"""How many bytes a connection may send before it has proven who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncssh

UNPROVEN_BYTES = 256 * 1024  # thirty of the largest certificates, and an ID token


class Budget:
    """Counts what one connection's socket delivers, until it is lifted."""

    def __init__(self, spent: Callable[[], None], limit: int = UNPROVEN_BYTES) -> None:
        self._spent = spent
        self._left = limit
        self._over = False
        self._conn: asyncssh.SSHServerConnection | None = None

    def attach(self, conn: asyncssh.SSHServerConnection) -> None:
        """Hear the socket in the connection's place: asyncio asks the object at each delivery."""
        deliver = conn.data_received

        def counted(data: bytes) -> None:  # asyncio's name for the argument
            self._left -= len(data)
            if self._left >= 0:
                deliver(data)
            elif not self._over:
                self._over = True
                self._spent()

        conn.data_received = counted  # type: ignore[method-assign,assignment]
        self._conn = conn

    def lift(self) -> None:
        """The identity is proven."""
        if self._conn is not None:
            self._conn.__dict__.pop("data_received", None)
            self._conn = None
