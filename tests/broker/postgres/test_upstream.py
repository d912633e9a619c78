from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest
import trustme

from broker.errors import TargetUnreachable
from broker.postgres import login
from broker.postgres.upstream import connect
from broker.targets import PostgresTarget
from broker.wire import messages
from tests.broker.postgres.harness import SETTINGS, front
from tests.fixtures.postgres import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer


async def test_tls_is_verified_and_the_password_bound_to_it(postgres_tls: PostgresServer) -> None:
    upstream = await connect(postgres_tls.target(), postgres_tls.app_password, SETTINGS)
    try:
        assert upstream.parameters["application_name"] == "interlock s1"
        query = "SELECT ssl, current_user FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await upstream.query(query) == [[b"t", b"app"]]
        assert upstream.pid != 0
    finally:
        await upstream.close()


async def test_a_man_in_the_middle_is_noticed_by_the_server(
    postgres_tls: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channel binding is used: another certificate than the server's own fails the login."""
    monkeypatch.setattr(login, "_channel", lambda _: b"another certificate")
    with pytest.raises(TargetUnreachable, match="channel binding"):
        await connect(postgres_tls.target(), postgres_tls.app_password, SETTINGS)


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require", "verify-ca"])
async def test_every_sslmode_logs_in(postgres_tls: PostgresServer, sslmode: str) -> None:
    target = postgres_tls.target(sslmode=sslmode)
    upstream = await connect(target, postgres_tls.app_password, SETTINGS)
    encrypted = await upstream.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await upstream.close()
    assert encrypted == [[b"f" if sslmode == "disable" else b"t"]]


@pytest.mark.parametrize("sslmode", ["verify-full", "verify-ca", "require"])
async def test_another_authority_is_refused(
    postgres_tls: PostgresServer, sslmode: str, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    target = replace(postgres_tls.target(sslmode=sslmode), sslrootcert=tmp_path / "other.pem")
    with pytest.raises(TargetUnreachable, match="not who it should be"):
        await connect(target, postgres_tls.app_password, SETTINGS)


# -- several servers ------------------------------------------------------------------------------


async def test_the_first_server_that_answers_is_it(postgres: PostgresServer) -> None:
    target = replace(
        postgres.target(),
        host="no-such-host.invalid",
        fallbacks=(("127.0.0.1", free_port()), ("127.0.0.1", postgres.port)),
    )
    upstream = await connect(target, postgres.app_password, SETTINGS)
    assert upstream.at == ("127.0.0.1", postgres.port)
    await upstream.cancel()  # goes to the server that it is, not to the first of the list
    await upstream.close()


async def test_a_refused_password_is_not_tried_elsewhere(postgres: PostgresServer) -> None:
    port = free_port()
    target = replace(postgres.target(), fallbacks=(("127.0.0.1", port),))
    with pytest.raises(TargetUnreachable) as caught:
        await connect(target, "wrong", SETTINGS)
    assert str(caught.value) == "orders refuses the password of app"


async def test_when_none_answers_each_is_told(postgres: PostgresServer) -> None:
    one, two = free_port(), free_port()
    target = replace(postgres.target(), port=one, fallbacks=(("localhost", two),))
    with pytest.raises(TargetUnreachable) as caught:
        await connect(target, "x", SETTINGS)
    assert str(caught.value) == (
        f"orders does not answer at 127.0.0.1:{one}: connection refused; "
        f"orders does not answer at localhost:{two}: connection refused"
    )


async def test_a_silent_server_is_left_after_its_time(postgres: PostgresServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = replace(
            postgres.target(),
            port=silent.getsockname()[1],
            fallbacks=(("127.0.0.1", postgres.port),),
            connect_timeout=1,
        )
        await (await connect(target, postgres.app_password, SETTINGS)).close()
        with pytest.raises(TargetUnreachable, match="orders did not answer in 1 seconds"):
            await connect(replace(target, fallbacks=()), "x", SETTINGS)


async def test_another_name_is_refused(postgres_tls: PostgresServer) -> None:
    target = replace(postgres_tls.target(), host="127.0.0.2")
    with pytest.raises(TargetUnreachable):
        await connect(target, postgres_tls.app_password, SETTINGS)


async def test_a_unix_socket_needs_no_tls(postgres: PostgresServer) -> None:
    target = replace(postgres.target(), host=str(postgres.socket_dir), sslmode="verify-full")
    upstream = await connect(target, postgres.app_password, SETTINGS)
    assert await upstream.query("SELECT 1") == [[b"1"]]
    await upstream.close()


@pytest.mark.parametrize("sslmode", ["require", "verify-full"])
async def test_a_target_without_tls_is_refused_when_it_is_demanded(
    postgres: PostgresServer, sslmode: str
) -> None:
    with pytest.raises(TargetUnreachable, match="does not offer TLS"):
        await connect(postgres.target(sslmode=sslmode), postgres.app_password, SETTINGS)


@pytest.mark.parametrize("password", ["wrong-secret", "", None])
async def test_a_refused_password_is_told_and_never_shown(
    postgres: PostgresServer, password: str | None
) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        await connect(postgres.target(), password, SETTINGS)
    assert "password" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_nobody_at_the_port_is_one_sentence(postgres: PostgresServer) -> None:
    target = replace(postgres.target(), port=free_port())
    with pytest.raises(TargetUnreachable, match="orders does not answer at 127"):
        await connect(target, "x", SETTINGS)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (messages.frame("R", messages.int32(3)), "clear text without TLS"),
        (messages.frame("R", messages.int32(7)), "method 7"),
        (messages.frame("R", messages.int32(10) + b"OAUTHBEARER\0\0"), "no way of logging in"),
        (messages.frame("T", b"\0\0"), "out of turn"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak"),
        (b"", "closed the connection"),
    ],
)
async def test_a_strange_server_is_refused(answer: bytes, why: str) -> None:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            if answer:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        served.set()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    target = PostgresTarget("t", "127.0.0.1", port, "app", "d", sslmode="disable")
    with pytest.raises(TargetUnreachable, match=why):
        await connect(target, "secret", SETTINGS)
    async with asyncio.timeout(10):
        await served.wait()
    listener.close()
    await listener.wait_closed()


_OLD = "SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'old secret'"


@pytest.mark.parametrize("method", ["md5", "password", "trust"])
async def test_weak_ways_of_logging_in_are_for_tls_and_can_be_excluded(
    postgres_tls: PostgresServer, method: str
) -> None:
    server = postgres_tls
    target = replace(server.target(), user="old")
    plain = replace(server.target(sslmode="disable"), user="old")
    named = {"md5": "a password as MD5", "password": "a password in clear text"}
    strict = replace(target, methods=frozenset({"scram-sha-256"}))
    server.execute(_OLD)
    try:
        with server.access(f"host all old 127.0.0.1/32 {method}"):
            await (await connect(target, "old secret", SETTINGS)).close()
            with pytest.raises(TargetUnreachable) as caught:
                await connect(strict, "old secret", SETTINGS)
            what = f"asks for {named[method]}" if method in named else "lets us in without a proof"
            assert str(caught.value) == f"orders {what}, which its require_auth excludes"
            if method in named:
                with pytest.raises(TargetUnreachable, match=f"{named[method]} without TLS"):
                    await connect(plain, "old secret", SETTINGS)
    finally:
        server.execute("DROP ROLE old")


async def test_a_session_and_its_cancellation_over_tls(postgres_tls: PostgresServer) -> None:
    async with front(postgres_tls, "orders") as relay, await relay.connect() as connection:
        cursor = await connection.execute("SELECT email FROM customers WHERE id = 1")
        assert await cursor.fetchall() == [("***",)]
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_canceled(connection))
            await asyncio.to_thread(postgres_tls.execute, _WAIT)
            await connection.cancel_safe()
            assert await running


_WAIT = """DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity
    WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%/* mine */%')
    LOOP PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"""


async def _canceled(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> bool:
    try:
        await connection.execute("SELECT pg_sleep(50) /* mine */")
    except psycopg.errors.QueryCanceled:
        return True
    return False
