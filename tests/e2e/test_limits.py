"""Limits with the stock ssh: each has its sentence, exit code 75, and an entry in the log."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import String

from tests.fixtures.oidc import provider
from tests.fixtures.served import issuers, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.demo import Demo
    from tests.fixtures.served import Person, Served

pytestmark = pytest.mark.peer

RULES = """\
targets:
  box: {kind: command, argv: [/bin/sh]}
rules:
  - name: look
    who: ["*"]
    targets: [box]
    allow: {commands: ["echo **", "sleep *"]}
    review: {commands: ["touch **"], approvers: [group:dba]}
"""
HALF_OPEN = 500
FLOOD = 512 * 1024  # bytes


@contextmanager
def broker(folder: Path, settings: str) -> Iterator[tuple[Served, Any]]:
    """A broker with these settings, and a way to log in as anybody."""
    with provider("ES256") as corp:
        config = f"listen: 127.0.0.1:0\nstate: state\n{issuers(corp, corp)}{RULES}{settings}"
        config = config.replace("  - name: ci", "  - name: jobs")
        with serving(folder, _one_issuer(config)) as served:

            def person(name: str) -> Person:
                token = corp.token(sub=name, email=f"{name}@example.com", groups=["engineers"])
                return served.person(name, token)

            yield served, person


def _one_issuer(config: str) -> str:
    """Without the second issuer, which has the same address here."""
    begin, end = config.index("  - name: jobs"), config.index("targets:")
    return config[:begin] + config[end:]


@contextmanager
def waiting(person: Person, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """That many open sessions of one person."""
    begun = [person.begin("box", "touch x") for _ in range(count)]
    try:
        until(lambda: _all_open(person, begun))
        yield begun
    finally:
        for one in begun:
            one.terminate()
            one.communicate(timeout=10)


def _all_open(person: Person, begun: list[subprocess.Popen[str]]) -> bool:
    for one in begun:
        assert one.poll() is None, one.communicate()
    return len(open_sessions(person)) == len(begun)


@contextmanager
def connected(person: Person) -> Iterator[None]:
    """A connection that does nothing."""
    idle = person.begin("-v", "-N", "broker")
    assert idle.stderr is not None
    try:
        while "Entering interactive session" not in (line := idle.stderr.readline()):
            assert line, "ssh ended"
        yield
    finally:
        idle.terminate()
        idle.communicate(timeout=10)


def open_sessions(person: Person) -> list[Any]:
    return [one for one in person.json("sessions") if one["status"] == "open"]


def limits_told(served: Served) -> list[dict[str, Any]]:
    return [event for event in served.events() if event["type"] == "limit.reached"]


def test_sessions_of_one_identity(tmp_path: Path) -> None:
    settings = "limits: {sessions_per_identity: 2, sessions: 3}\n"
    with broker(tmp_path, settings) as (served, person):
        ann, bea = person("ann"), person("bea")
        with waiting(ann, 2):
            third = ann.ssh("box", "echo 1")
            assert third.returncode == 75
            assert third.stderr == (
                "interlock: you have 2 sessions open, which is the limit; end one first\n"
            )
            assert bea.ssh("box", "echo 1").returncode == 0
            with waiting(bea, 1):
                full = bea.ssh("box", "echo 1")
                assert full.returncode == 75
                assert "the broker has 3 sessions open, which is its limit" in full.stderr
        assert ann.ssh("box", "echo 1").returncode == 0
        told = until(lambda: len(limits_told(served)) >= 2 and limits_told(served))
        assert [event["limit"] for event in told] == ["sessions_per_identity", "sessions"]
        assert told[0]["identity"] == "human:ann@example.com@corp"


def test_connections(tmp_path: Path) -> None:
    settings = "limits: {connections_per_identity: 2, connections: 3}\n"
    with broker(tmp_path, settings) as (served, person):
        ann, bea, cat = person("ann"), person("bea"), person("cat")
        with ExitStack() as stack:
            stack.enter_context(connected(ann))
            stack.enter_context(connected(ann))
            third = ann.ssh("broker", "whoami")
            assert third.returncode == 75
            assert "you have 2 connections open, which is the limit" in third.stderr
            stack.enter_context(connected(bea))
            full = cat.ssh("broker", "whoami")
            assert full.returncode == 75
            assert "the broker has 3 connections open, which is its limit" in full.stderr
        assert until(lambda: cat.ssh("broker", "whoami").returncode == 0)
        told = until(lambda: len(limits_told(served)) >= 2 and limits_told(served))
        assert [event["limit"] for event in told] == ["connections_per_identity", "connections"]


def test_logins_of_one_address(tmp_path: Path) -> None:
    with broker(tmp_path, "limits: {logins_per_source: 3}\n") as (served, person):
        ann = person("ann")
        codes = [ann.ssh("login", given="rubbish").returncode for _ in range(2)]
        assert codes == [77, 77]
        refused = ann.ssh("login", given="rubbish")
        assert refused.returncode == 75
        assert refused.stderr.startswith(
            "interlock: 3 logins a minute are the limit for 127.0.0.1; try in "
        )
        assert ann.ssh("box", "echo 1").returncode == 0
        (told,) = until(lambda: limits_told(served))
        assert (told["limit"], told["source"]) == ("logins_per_source", "127.0.0.1")


def test_an_idle_interactive_session_ends_and_a_waiting_one_does_not(tmp_path: Path) -> None:
    with broker(tmp_path, "idle_timeout: 2s\n") as (served, person):
        ann = person("ann")
        began = time.monotonic()
        idle = ann.begin("-tt", "box", stdin=subprocess.PIPE)
        asks = ann.begin("-tt", "box", stdin=subprocess.PIPE)
        assert asks.stdin is not None
        asks.stdin.write("touch waiting-for-people\n")
        asks.stdin.flush()
        assert idle.stdout is not None
        out = idle.stdout.read()  # its input stays open
        assert idle.wait(timeout=10) == 75
        assert 2 <= time.monotonic() - began < 8
        idle.communicate()
        assert "interlock: this session was idle for 0:00:02, which is the limit" in out
        (told,) = until(lambda: limits_told(served))
        assert told["limit"] == "idle_timeout"
        time_out = served.events()[-1]["ts_ms"] + 3000
        until(lambda: time.time() * 1000 > time_out)
        assert asks.poll() is None
        asks.terminate()
        asks.communicate(timeout=10)


def test_a_session_ends_with_its_time(tmp_path: Path) -> None:
    with broker(tmp_path, "session_ttl: 2s\n") as (served, person):
        ann = person("ann")
        ran = ann.ssh("box", "sleep 20")
        assert ran.returncode == 75
        assert "interlock: this session reached its limit of 0:00:02; connect again" in ran.stderr
        (told,) = until(lambda: limits_told(served))
        assert told["limit"] == "session_ttl"
        assert told["sid"] is not None


def test_half_open_connections_keep_nobody_out(demo: Demo) -> None:
    port = int((demo.folder / "ssh_config").read_text().split("Port ")[1].split()[0])
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)).send(
                b"SSH-2.0-slow"
            )
        began = time.monotonic()
        ran = demo.ssh("broker@agent", "whoami")
        assert ran.returncode == 0, ran.stderr
        assert time.monotonic() - began < 10
    until(lambda: "strangers" in {event.get("limit") for event in demo.events()})


class Flood(asyncssh.SSHClient):
    """Speaks SSH well, and sends what is to be ignored in place of a key."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.conn = conn
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    async def public_key_auth_requested(self) -> None:
        for _ in range(FLOOD // 32768):
            self.conn.send_packet(MSG_IGNORE, String(b"x" * 32768))
        await asyncio.wait_for(self.lost.wait(), 10)


async def test_too_much_before_authentication_ends_the_connection(demo: Demo) -> None:
    port = int((demo.folder / "ssh_config").read_text().split("Port ")[1].split()[0])
    with pytest.raises((asyncssh.DisconnectError, OSError)) as ended:
        await asyncssh.connect(
            "127.0.0.1", port, client_factory=Flood, known_hosts=None, username="login", config=None
        )
    # A client that is still writing may find the connection gone before it reads why.
    gone = isinstance(ended.value, (OSError, asyncssh.ConnectionLost))
    assert gone or "too much sent before authentication" in str(ended.value)


def test_a_stranger_cannot_tell_which_names_exist(demo: Demo) -> None:
    key = demo.folder / "unknown"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    if not key.exists():
        subprocess.run(words, check=True)
    lines = (demo.folder / "login_config").read_text().replace(f"{demo.folder}/agent", str(key))
    config = demo.folder / "unknown_config"
    config.write_text(lines)

    def told(user: str) -> tuple[int, str]:
        ran = subprocess.run(
            ["ssh", "-F", str(config), "-o", "LogLevel=DEBUG1", f"{user}@agent", "whoami"],
            capture_output=True,
            text=True,
            env=demo.environment,
            stdin=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        _, _, after = ran.stderr.partition("SSH2_MSG_SERVICE_ACCEPT received")
        return ran.returncode, after.replace(user, "USER")

    assert told("orders") == told("nosuch") == told("broker") == told("root")


def test_the_door_offers_strict_key_exchange_and_nothing_weak(demo: Demo) -> None:
    ran = demo.ssh("-vv", "broker@agent", "whoami")
    _, _, theirs = ran.stderr.partition("peer server KEXINIT proposal")
    offers = dict(re.findall(r"debug2: ([\w ]+?)(?: ctos)?: (\S*)", theirs.partition("kex: ")[0]))
    kex = offers["KEX algorithms"].split(",")
    assert kex[0] == "mlkem768x25519-sha256"
    assert "kex-strict-s-v00@openssh.com" in kex
    assert not [name for name in kex if "nistp" in name or "diffie" in name]
    assert all("gcm" in name for name in offers["ciphers"].split(","))
    assert all("etm" in name for name in offers["MACs"].split(","))
    assert offers["host key algorithms"].split(",")[-1] == "ssh-ed25519"
    assert "remote software version Interlock\n" in ran.stderr
