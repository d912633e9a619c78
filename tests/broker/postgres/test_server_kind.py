from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.postgres.upstream import connect
from tests.broker.postgres.harness import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

ATTRS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")


@pytest.fixture
def read_only(postgres: PostgresServer, orders: str) -> Iterator[str]:
    """A database whose transactions begin read-only."""
    postgres.execute(f"ALTER DATABASE {orders} SET default_transaction_read_only = on", "postgres")
    yield orders
    postgres.execute(f"ALTER DATABASE {orders} RESET ALL", "postgres")


async def serving(server: PostgresServer, dbname: str, attrs: str, **pinned: str) -> bool:
    target = replace(server.target(dbname), name="orders", session_attrs=attrs)
    said = f"^orders is not {attrs} at 127.0.0.1:{server.port}$"
    refusal: TargetUnreachable | None = None
    try:
        await (await connect(target, server.app_password, SETTINGS | pinned)).close()
    except TargetUnreachable as error:
        refusal = error
    assert refusal is None or re.match(said, str(refusal))
    return refusal is None


async def test_a_primary(postgres: PostgresServer) -> None:
    served = {attrs for attrs in ATTRS if await serving(postgres, "orders", attrs)}
    assert served == {"any", "read-write", "primary", "prefer-standby"}


async def test_a_primary_that_starts_read_only(postgres: PostgresServer, read_only: str) -> None:
    served = {attrs for attrs in ATTRS if await serving(postgres, read_only, attrs)}
    assert served == {"any", "read-only", "primary", "prefer-standby"}


async def test_what_we_pin_says_nothing_about_the_server(postgres: PostgresServer) -> None:
    assert await serving(postgres, "orders", "read-write", default_transaction_read_only="on")


async def test_an_old_server_is_asked(postgres: PostgresServer) -> None:
    """Servers before 14 do not say at login what they are."""
    from broker.postgres import server_kind

    upstream = await connect(postgres.target(), postgres.app_password, SETTINGS)
    for name in ("in_hot_standby", "default_transaction_read_only"):
        del upstream.parameters[name]
    assert await server_kind.serves(upstream, "read-write", pinned={})
    assert not await server_kind.serves(upstream, "standby", pinned={})
    await upstream.close()
