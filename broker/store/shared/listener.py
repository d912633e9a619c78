"""Hears that another node has changed something; a poll beneath it makes up for what it misses."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from broker.store.shared.link import conninfo

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL = "interlock"
RETRY_S = 0.5


async def listen(dsn: str, heard: Callable[[], None]) -> None:
    """For ever: call `heard` for each notification, and whenever some may have been missed."""
    while True:
        with suppress(psycopg.Error, OSError):
            await _listen(dsn, heard)
        await asyncio.sleep(RETRY_S)


async def _listen(dsn: str, heard: Callable[[], None]) -> None:
    connection = await psycopg.AsyncConnection.connect(conninfo(dsn), autocommit=True)
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}".encode())
        heard()
        async for _ in connection.notifies():
            heard()
