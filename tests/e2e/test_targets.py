"""PostgreSQL targets as an operator writes them: what is said when one fails, rotation, roles."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.fixtures.forward import forwarded_by
from tests.fixtures.oidc import provider
from tests.fixtures.postgres import APP_PASSWORD
from tests.fixtures.served import Person, Served, issuers, serving, until
from tests.fixtures.tls_front import Authority, tls_front

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

CONFIG = Template("""\
listen: 127.0.0.1:0
state: state
drain: 1s
$issuers
targets:
  orders: {kind: postgres, dsn: "$at dbname=orders", password: {file: password}}
  roles:
    kind: postgres
    dsn: host=127.0.0.1 port=$port user=minter dbname=orders sslmode=disable
    password: {env: MINTER}
    role: {in: [borrowed], limit: 2}
  command: {kind: postgres, dsn: "$at dbname=orders", password: {command: [./give]}}
  wrongpassword: {kind: postgres, dsn: "$at dbname=orders", password: {env: WRONG}}
  nopassword: {kind: postgres, dsn: "$at dbname=orders"}
  nohost:
    kind: postgres
    dsn: host=no-such-host.invalid user=app dbname=orders sslmode=disable
  refused: {kind: postgres, dsn: "host=127.0.0.1 port=1 user=app dbname=orders sslmode=disable"}
  nodatabase: {kind: postgres, dsn: "$at dbname=nowhere", password: {env: RIGHT}}
  full:
    kind: postgres
    dsn: host=127.0.0.1 port=$port user=crowded dbname=orders sslmode=disable
    password: {env: RIGHT}
  starting: {kind: postgres, dsn: "host=127.0.0.1 port=$starting user=app dbname=d sslmode=disable"}
  notls: {kind: postgres, dsn: "host=127.0.0.1 port=$port user=app dbname=d sslmode=require"}
  othername: {kind: postgres, dsn: "host=localhost port=$othername $tls"}
  expired: {kind: postgres, dsn: "host=localhost port=$expired $tls"}
  stranger: {kind: postgres, dsn: "host=localhost port=$stranger $tls"}
rules:
  - name: read
    who: [group:engineers]
    targets: ["*"]
    allow: {actions: [select, explain]}
  - name: write
    who: [group:dba]
    targets: [orders, roles]
    allow: {actions: [select, insert, create]}
""")
ROLES = """
CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '{password}';
CREATE ROLE minter LOGIN CREATEROLE PASSWORD 'minter secret';
CREATE ROLE borrowed;
GRANT borrowed TO minter WITH ADMIN OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO borrowed;
GRANT CREATE, USAGE ON SCHEMA public TO borrowed;
"""
SENTENCES = {
    "wrongpassword": "wrongpassword refuses the password of app",
    "nopassword": "nopassword asks for a password, and none is configured",
    "nohost": "nohost is at no-such-host.invalid, and nobody knows that host",
    "refused": "refused does not answer at 127.0.0.1:1: connection refused",
    "nodatabase": "nodatabase has no database nowhere",
    "full": "full has no connection left for crowded",
    "starting": "starting takes no sessions now: the database system is starting up",
    "notls": "notls does not offer TLS, which sslmode=require demands",
    "othername": "othername is not who it should be: its certificate is not for localhost",
    "expired": "expired is not who it should be: its certificate has expired",
    "stranger": (
        "stranger is not who it should be: its certificate is of an authority that we do not trust"
    ),
}


@dataclass(frozen=True)
class World:
    broker: Served
    reader: Person
    writer: Person
    server: PostgresServer

    def roles(self) -> list[str]:
        """The roles of sessions that the server has."""
        text = r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'interlock\_%'"
        return [str(name) for (name,) in self.server.execute(text)]


@pytest.fixture(scope="module")
def world(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("targets")
    server = postgres
    server.execute(ROLES.format(password=APP_PASSWORD))
    (folder / "password").write_text(APP_PASSWORD + "\n")
    (folder / "give").write_text(f"#!/bin/sh\ncat {folder}/password\n")
    (folder / "give").chmod(0o700)
    ours, other = Authority.make(folder / "ours"), Authority.make(folder / "other")
    with contextlib.ExitStack() as stack:
        corp, ci = stack.enter_context(provider("RS256")), stack.enter_context(provider("ES256"))
        fronts = {
            "othername": ours.server_side("elsewhere.example"),
            "expired": ours.server_side(days=-1),
            "stranger": other.server_side(),
        }
        ports = {
            name: stack.enter_context(tls_front(context, server.port))
            for name, context in fronts.items()
        }
        config = CONFIG.substitute(
            issuers=issuers(corp, ci),
            port=server.port,
            at=f"host=127.0.0.1 port={server.port} user=app sslmode=disable",
            tls=f"user=app dbname=orders sslmode=verify-full sslrootcert={ours.file}",
            starting=stack.enter_context(starting_up()),
            **ports,
        )
        secrets = {"WRONG": "hunter2", "RIGHT": APP_PASSWORD, "MINTER": "minter secret"}
        broker = stack.enter_context(serving(folder, config, **secrets))
        reader = broker.person("r", corp.token(email="r@acme.example", groups=["engineers"]))
        writer = broker.person("w", corp.token(email="w@acme.example", groups=["dba"]))
        yield World(broker, reader, writer, server)
    for name in ("crowded", "minter", "borrowed"):
        server.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@contextlib.contextmanager
def starting_up() -> Iterator[int]:
    """A server that is not ready yet says so to everybody, in PostgreSQL's words."""
    text = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.recv(1000)
                        client.sendall(b"E" + (len(text) + 4).to_bytes(4, "big") + text)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", SENTENCES)
def test_a_failure_is_one_sentence_and_69(world: World, target: str) -> None:
    ran = world.reader.ssh(target, "SELECT 1")
    assert ran.stderr == f"interlock: {SENTENCES[target]}\n"
    assert (ran.returncode, ran.stdout) == (69, "")


def test_a_driver_is_told_the_same(world: World) -> None:
    with (
        forwarded_by(world.reader.argv, world.reader.environment, "nodatabase") as port,
        pytest.raises(psycopg.OperationalError) as caught,
    ):
        psycopg.connect(f"host=127.0.0.1 port={port} user=x dbname=x")
    assert f"FATAL:  interlock: {SENTENCES['nodatabase']}" in str(caught.value)


def test_no_secret_is_in_any_log(world: World) -> None:
    world.reader.ssh("wrongpassword", "SELECT 1")
    told = world.broker.errors.read_text() + str(world.broker.events())
    for secret in ("hunter2", APP_PASSWORD, "minter secret"):
        assert secret not in told


# -- rotation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["orders", "command"])
def test_a_password_is_read_again_at_every_connection(world: World, target: str) -> None:
    file = world.broker.folder / "password"
    try:
        world.server.execute("ALTER ROLE app PASSWORD 'the next one'")
        assert world.reader.ssh(target, "SELECT 1").returncode == 69
        file.write_text("the next one\n")
        assert world.reader.ssh(target, "SELECT 1").returncode == 0
        file.unlink()
        ran = world.reader.ssh(target, "SELECT 1")
        assert (ran.returncode, ran.stderr) == (
            69,
            f"interlock: the broker cannot read its password for {target}\n",
        )
    finally:
        world.server.execute(f"ALTER ROLE app PASSWORD '{APP_PASSWORD}'")
        file.write_text(APP_PASSWORD + "\n")


# -- settings and roles --------------------------------------------------------------------------


def test_who_only_reads_gets_read_only_transactions(world: World) -> None:
    psql = 'psql -At -c "SHOW default_transaction_read_only" -c "SHOW statement_timeout"'
    assert world.reader.ssh("orders", psql).stdout == "on\n1h\n"
    assert world.writer.ssh("orders", psql).stdout == "off\n1h\n"


def test_a_session_has_a_role_that_is_named_after_it(world: World) -> None:
    mark = world.server.log_mark()
    ran = world.reader.ssh("roles", 'psql -At -c "SELECT current_user, count(*) FROM customers"')
    assert ran.returncode == 0, ran.stderr
    name, _, count = ran.stdout.strip().partition("|")
    session = world.reader.json("sessions")[0]["id"]
    assert name.endswith(f"_{session}")
    assert count == "3"
    assert world.roles() == []
    assert f"{name} interlock {session}] " in world.server.logged_since(mark)
    events = [event for event in world.broker.events() if event.get("sid") == session]
    types = [event["type"] for event in events]
    assert types.index("session.opened") < types.index("role.made")
    assert types.index("role.ended") < types.index("session.closed")


def test_a_role_ends_with_its_session_however_that_ends(world: World) -> None:
    with forwarded_by(world.reader.argv, world.reader.environment, "roles") as port:
        connection = psycopg.connect(f"host=127.0.0.1 port={port} user=x dbname=x")
        (name,) = world.roles()
        assert connection.execute("SELECT current_user").fetchone() == (name,)
    until(lambda: not world.roles())
    connection.close()


def test_what_an_approved_session_made_stays(world: World) -> None:
    ran = world.writer.ssh("roles", "CREATE TABLE kept (id int)")
    assert ran.returncode == 0, ran.stderr
    text = "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'"
    assert world.server.execute(text) == [("borrowed",)]
    assert world.roles() == []
    world.server.execute("DROP TABLE kept")


def test_a_broker_that_was_killed_cleans_up_when_it_is_back(world: World) -> None:
    with forwarded_by(world.reader.argv, world.reader.environment, "roles") as port:
        connection = psycopg.connect(f"host=127.0.0.1 port={port} user=x dbname=x")
        (name,) = world.roles()
        world.broker.process.send_signal(signal.SIGKILL)
        world.broker.process.wait()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()
    assert world.roles() == [name]
    world.broker.start()
    until(lambda: not world.roles())
    until(  # what was appended is sealed within a second
        lambda: any(
            (event["type"], event.get("role")) == ("role.reaped", name)
            for event in world.broker.events()
        )
    )
    assert world.broker.verify()["ok"]
