"""The names for completion come from the target itself, once a minute at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.postgres.known import Known, Names
from broker.postgres.upstream import connect
from tests.broker.postgres.harness import SETTINGS

if TYPE_CHECKING:
    from broker.postgres.upstream import Upstream
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


async def test_tables_and_columns_are_read_and_kept(postgres: PostgresServer, orders: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    known = Known(lambda: now)
    dials = 0

    async def dial() -> Upstream:
        nonlocal dials
        dials += 1
        return await connect(postgres.target(orders), postgres.app_password, SETTINGS)

    first, second, third = Names(), Names(), Names()
    await known.into(first, "orders", dial)
    assert "note" in first.tables["public", "orders"]
    assert not any(schema.startswith("pg_") for schema, _ in first.tables)
    await known.into(second, "orders", dial)
    assert second.tables == first.tables
    assert dials == 1
    now += timedelta(minutes=2)
    await known.into(third, "orders", dial)
    assert dials == 2


async def test_a_target_that_cannot_be_asked_leaves_them_empty() -> None:
    async def dial() -> Upstream:
        raise TargetUnreachable("no")

    names = Names()
    await Known(lambda: datetime.now(UTC)).into(names, "orders", dial)
    assert names.tables == {}
