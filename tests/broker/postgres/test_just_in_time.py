from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import TargetUnreachable
from broker.postgres import just_in_time
from broker.postgres.just_in_time import SessionRoles
from broker.postgres.upstream import connect
from broker.targets import SessionRole
from tests.broker.postgres.harness import SETTINGS
from tests.fakes import FakeAudit, Journal, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from broker.postgres.upstream import Upstream
    from broker.targets import PostgresTarget
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

PINNED = {"search_path": "public", "statement_timeout": "7000"}
SETUP = """
CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'maker secret';
CREATE ROLE reader;
GRANT reader TO maker WITH ADMIN OPTION;
"""
PREPARE = """
GRANT SELECT ON customers TO reader;
GRANT CREATE, USAGE ON SCHEMA public TO reader;
"""


@pytest.fixture(params=["postgres", "postgres_tls"])
def server(request: pytest.FixtureRequest) -> PostgresServer:
    """PostgreSQL 18, and the system's."""
    found: PostgresServer = request.getfixturevalue(request.param)
    if not found.execute("SELECT 1 FROM pg_roles WHERE rolname = 'maker'"):
        found.execute(SETUP)
    return found


@pytest.fixture
def target(server: PostgresServer) -> Iterator[PostgresTarget]:
    """A fresh database whose broker may make roles."""
    server.execute("CREATE DATABASE jit TEMPLATE orders", "postgres")
    server.execute(PREPARE, "jit")
    role = SessionRole(("reader",), limit=1)
    yield replace(server.target("jit", "disable"), user="maker", role=role)
    server.execute("DROP DATABASE jit WITH (FORCE)", "postgres")


@dataclass
class Broker:
    """One broker's roles, and all of its own connections."""

    server: PostgresServer
    admin: list[Upstream] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self.audit = FakeAudit(self.journal)
        self.roles = SessionRoles(self.connect, self.audit)

    async def connect(self, target: PostgresTarget) -> Upstream:
        self.admin.append(await connect(target, "maker secret", SETTINGS))
        return self.admin[-1]

    @asynccontextmanager
    async def session(
        self, target: PostgresTarget, sid: str = "s1"
    ) -> AsyncIterator[tuple[str, str]]:
        assert target.role is not None
        made = replace(session(), id=sid)
        until = made.started.replace(year=2100)
        async with self.roles.role(
            made, target, target.role, until=until, settings=PINNED
        ) as login:
            yield login

    async def kill(self) -> None:
        """As kill -9 does it: the connections end, and nothing is put in order."""
        for upstream in self.admin:
            upstream.abort()
        text = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        while await asyncio.to_thread(self.server.execute, text) != [(0,)]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def as_role(target: PostgresTarget, login: tuple[str, str]) -> Upstream:
    settings = SETTINGS | {"application_name": "a session"}
    return await connect(target, login[1], settings, user=login[0])


async def roles(server: PostgresServer) -> list[str]:
    text = r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'interlock\_%' ORDER BY 1"
    return [str(name) for (name,) in await asyncio.to_thread(server.execute, text)]


async def test_a_session_has_a_role_of_its_own(
    server: PostgresServer, target: PostgresTarget
) -> None:
    broker, mark = Broker(server), server.log_mark()
    async with broker.session(target) as (name, password):
        assert await roles(server) == [name]
        assert name.startswith("interlock_")
        assert name.endswith("_s1")
        upstream = await as_role(target, (name, password))
        who = await upstream.query("SELECT current_user, pg_has_role('reader', 'MEMBER')")
        assert who == [[name.encode(), b"t"]]
        assert await upstream.query("SHOW statement_timeout") == [[b"7s"]]
        assert await upstream.query("SELECT count(*) FROM customers") == [[b"3"]]
        with pytest.raises(TargetUnreachable, match="permission denied for table orders"):
            await upstream.query("SELECT count(*) FROM orders")
        with pytest.raises(TargetUnreachable, match="jit has no connection left for interlock_"):
            await as_role(target, (name, password))
        row = await asyncio.to_thread(
            server.execute,
            "SELECT rolcreaterole OR rolcreatedb OR rolsuper OR rolbypassrls, rolconnlimit,"
            f" rolvaliduntil > now() FROM pg_roles WHERE rolname = '{name}'",
        )
        assert row == [(False, 1, True)]
        await upstream.close()
    assert await roles(server) == []
    logged = server.logged_since(mark)
    assert f"{name} a session] " in logged, "the server's own log names the session"
    assert password not in logged
    assert "SCRAM-SHA-256$4096:" in logged


async def test_what_is_left_running_is_ended_with_the_session(
    server: PostgresServer, target: PostgresTarget
) -> None:
    broker = Broker(server)
    async with broker.session(target) as login:
        upstream = await as_role(target, login)
    assert await upstream.reader.read() != b"", "the server says goodbye"
    assert upstream.reader.at_eof()
    upstream.abort()
    assert await roles(server) == []


@pytest.mark.parametrize("keep", [True, False])
async def test_what_it_made_is_kept_by_the_group_or_dropped(
    server: PostgresServer, target: PostgresTarget, keep: bool
) -> None:
    target = replace(target, role=SessionRole(("reader",), keep=keep))
    async with Broker(server).session(target) as login:
        upstream = await as_role(target, login)
        await upstream.query("CREATE TABLE made (id int)")
        await upstream.close()
    text = "SELECT tableowner FROM pg_tables WHERE tablename = 'made'"
    found = await asyncio.to_thread(server.execute, text, "jit")
    assert found == ([("reader",)] if keep else [])
    assert await roles(server) == []


async def test_sessions_at_once_share_one_connection_of_ours(
    server: PostgresServer, target: PostgresTarget
) -> None:
    broker = Broker(server)
    async with AsyncExitStack() as stack:
        for number in range(5):
            await stack.enter_async_context(broker.session(target, f"s{number}"))
        assert len(await roles(server)) == 5
        assert len(broker.admin) == 1
    assert await roles(server) == []
    async with broker.session(target):
        assert len(broker.admin) == 2


async def test_only_the_roles_of_a_dead_broker_are_reaped(
    server: PostgresServer, target: PostgresTarget
) -> None:
    dead, alive, third = Broker(server), Broker(server), Broker(server)
    left = dead.session(target, "dead1")
    name, password = await left.__aenter__()
    abandoned = await as_role(target, (name, password))
    async with alive.session(target, "alive1") as (other, _):
        assert await third.roles.reap(target) == [], "both live"
        for upstream in dead.admin:
            upstream.abort()
        while name in await roles(server):
            await third.roles.reap(target)
        assert await roles(server) == [other]
        assert b"terminating connection" in await abandoned.reader.read()
        abandoned.abort()
    reaped = [event for event in third.audit.events if event.type == "role.reaped"]
    assert [event.fields["role"] for event in reaped][:1] == [name]
    await left.__aexit__(None, None, None)


async def test_a_new_session_reaps_first(server: PostgresServer, target: PostgresTarget) -> None:
    dead = Broker(server)
    left = dead.session(target, "dead1")
    await left.__aenter__()
    await dead.kill()
    async with Broker(server).session(target, "new1") as (name, _):
        assert await roles(server) == [name]
    await left.__aexit__(None, None, None)


async def test_other_roles_are_never_touched(
    server: PostgresServer, target: PostgresTarget
) -> None:
    """Of the right name, but not made by us for this database."""
    name = "interlock_00000001_s1"
    await asyncio.to_thread(server.execute, f"CREATE ROLE {name}")
    try:
        assert await Broker(server).roles.reap(target) == []
        assert await roles(server) == [name]
    finally:
        await asyncio.to_thread(server.execute, f"DROP ROLE {name}")


async def test_a_target_that_gives_no_roles_is_one_sentence(
    server: PostgresServer, target: PostgresTarget
) -> None:
    target = replace(target, role=SessionRole(("no-such-role",)))
    with pytest.raises(TargetUnreachable, match='role "no-such-role" does not exist'):
        async with Broker(server).session(target):
            pass
    assert await roles(server) == []


async def test_it_is_audited_before_it_is_made(
    server: PostgresServer, target: PostgresTarget
) -> None:
    broker = Broker(server)
    async with broker.session(target) as (name, _):
        assert [event.type for event in broker.audit.events] == ["role.made"]
    made, ended = broker.audit.events
    assert made.fields["role"] == ended.fields["role"] == name
    assert made.fields["member_of"] == ["reader"]
    assert (ended.type, ended.fields["dropped"]) == ("role.ended", True)
    broker.journal.failing = "audit"
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the log raises
        async with broker.session(target):
            pass
    assert await roles(server) == []


def test_names_and_constants_cannot_leave_their_quotes() -> None:
    until = session().started + timedelta(hours=1)
    text = just_in_time.creation(
        'a"b', "p'q", until, SessionRole(('g"; DROP',)), 'd"b', {"search_path": "x'y"}
    )
    for quoted in ('"a""b"', "'p''q'", '"g""; DROP"', '"d""b"', "'x''y'"):
        assert quoted in text
