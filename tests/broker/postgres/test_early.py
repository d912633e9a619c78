from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.postgres.early import begun
from broker.postgres.upstream import Upstream, connect
from tests.broker.postgres.harness import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


class Dialler:
    """Connects to a real server, and remembers."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.made: list[Upstream] = []

    async def __call__(self, more: Mapping[str, str] | None = None, /) -> Upstream:
        password = self._server.app_password
        self.made.append(await connect(self._server.target(), password, SETTINGS))
        return self.made[-1]


async def test_the_first_to_ask_gets_the_one_that_was_begun(postgres: PostgresServer) -> None:
    dial = Dialler(postgres)
    async with begun(dial) as take:
        first, second = await take(), await take()
    assert dial.made == [first, second]
    assert await first.query("SELECT 1") == [[b"1"]], "it is the taker's now"
    for upstream in dial.made:
        await upstream.close()


async def test_one_that_nobody_took_is_closed(postgres: PostgresServer) -> None:
    dial, connected = Dialler(postgres), asyncio.Event()

    async def told(more: Mapping[str, str] | None = None, /) -> Upstream:
        upstream = await dial(more)
        connected.set()
        return upstream

    async with begun(told):
        await connected.wait()
    assert dial.made[0].writer.is_closing()


async def test_its_failure_is_told_to_who_asks_and_as_it_is(postgres: PostgresServer) -> None:
    async def fail(more: Mapping[str, str] | None = None, /) -> Upstream:
        msg = "gone"
        raise TargetUnreachable(msg)

    with pytest.raises(TargetUnreachable, match="gone"):
        async with begun(fail) as take:
            await take()
    async with begun(fail):
        pass
