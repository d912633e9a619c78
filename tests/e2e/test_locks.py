"""Locks with the stock ssh: live sessions end within a second and new ones are refused."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from broker.policy.locks import Lock, Subject
from broker.postgres.program import find_psql
from broker.store.locks import LockTable
from tests.fixtures.forward import forwarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer

AGENT = "agent:acme/shop@ci"
SECOND_MS = 1000


@contextmanager
def unlocked_after(demo: Demo, name: str) -> Iterator[None]:
    """Whatever the test locks by this name is lifted at its end."""
    try:
        yield
    finally:
        told = demo.ssh("broker@admin", f"unlock {name}")
        assert told.returncode == 0, told.stderr


def lock(demo: Demo, what: str, reason: str = "laptop stolen") -> None:
    told = demo.ssh("broker@admin", f"lock {what} --reason {reason}")
    assert told.returncode == 0, told.stderr


def moment(demo: Demo, kind: str, **fields: object) -> int:
    """When the audit log says that this happened last, in milliseconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for event in reversed(demo.events()):
            if event["type"] == kind and all(event[k] == v for k, v in fields.items()):
                return int(event["ts_ms"])
    raise AssertionError(kind)


def psql_at(port: int) -> list[str]:
    return [str(find_psql()), "-X", "-At", "-h", "127.0.0.1", "-p", str(port), "-d", "orders"]


def record(demo: Demo, session: str) -> dict[str, Any]:
    sessions = demo.json("broker@auditor", "sessions --json")
    return next(dict(one) for one in sessions if one["id"] == session)


@pytest.mark.parametrize(
    ("n", "what", "why"),
    [
        (101, AGENT, "you are locked by dana@example.com: laptop stolen"),
        (102, "identity:acme/shop", "you are locked by dana@example.com: laptop stolen"),
        (103, "alice@example.com", "you are locked by dana@example.com: laptop stolen"),
        (104, "orders", "orders is locked by dana@example.com: laptop stolen"),
        (105, "issuer:ci", "everybody of ci is locked by dana@example.com: laptop stolen"),
    ],
    ids=["identity", "name", "the person it acts for", "target", "issuer"],
)
def test_a_lock_ends_a_live_session_within_a_second(
    demo: Demo, n: int, what: str, why: str
) -> None:
    waiting = demo.begin("orders@agent", f"DELETE FROM refunds WHERE id = {n}")
    card = demo.waiting(f"id = {n}")
    with unlocked_after(demo, what):
        lock(demo, what)
        _, err = waiting.communicate(timeout=10)
        assert waiting.returncode == 77
        assert f"interlock: this session was ended: {why}\n" in err
        assert record(demo, card["session"])["status"] == "killed"
        (shown,) = demo.json("broker@approver", f"show --json {card['id']}")
        assert shown["state"] == "withdrawn"
        again = demo.ssh("orders@agent", "SELECT 1")
        assert again.returncode == 77
        assert again.stderr == f"interlock: {why}\n"
    closed = moment(demo, "session.closed", sid=card["session"], status="killed")
    assert 0 <= closed - moment(demo, "lock.set") < SECOND_MS
    assert moment(demo, "lock.refused", actor=AGENT) > closed
    assert demo.ssh("orders@agent", "SELECT 1").returncode == 0
    assert not demo.database_saw(f"id = {n}")


def test_a_lock_that_another_node_wrote_ends_sessions_within_a_second(demo: Demo) -> None:
    waiting = demo.begin("orders@agent", "DELETE FROM refunds WHERE id = 106")
    card = demo.waiting("id = 106")
    table = LockTable.open(demo.folder / "state" / "interlock.sqlite")
    with unlocked_after(demo, AGENT):
        began = time.time()
        now = datetime.now(UTC)
        table.put(Lock(Subject.IDENTITY, AGENT, "human:eve@example.com@corp", now, "elsewhere"))
        table.close()
        _, err = waiting.communicate(timeout=10)
        assert waiting.returncode == 77
        assert "locked by eve@example.com: elsewhere" in err
        closed = moment(demo, "session.closed", sid=card["session"], status="killed")
        assert closed - began * 1000 < SECOND_MS


def test_an_interactive_session_at_its_prompt_ends(demo: Demo) -> None:
    for target in ("box", "orders"):
        person = subprocess.Popen(
            demo.argv("-tt", f"{target}@engineer"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=demo.environment,
        )
        assert person.stdout is not None
        assert person.stdout.read(1)  # it has begun to draw its prompt
        with unlocked_after(demo, "human:alice@example.com@corp"):
            lock(demo, "human:alice@example.com@corp")
            out, _ = person.communicate(timeout=10)
        assert person.returncode == 77
        assert b"this session was ended: you are locked by dana@example.com" in out


def test_a_forwarded_session_ends_with_the_sentence(demo: Demo) -> None:
    with forwarded(demo, "agent") as port:
        sleeping = subprocess.Popen(
            [*psql_at(port), "-c", "DELETE FROM refunds WHERE id = 107"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=demo.environment,
        )
        demo.waiting("id = 107")
        with unlocked_after(demo, "orders"):
            lock(demo, "orders")
            _, err = sleeping.communicate(timeout=10)
            assert "FATAL:  interlock: this session was ended: orders is locked by dana" in err
            refused = demo.psql(port, "SELECT 1")
            assert "FATAL:  interlock: orders is locked by dana@example.com" in refused.stderr
        assert demo.psql(port, "SELECT 1").stdout == "1\n"


def test_a_locked_approver_loses_the_screens_and_every_verb(demo: Demo) -> None:
    screens = subprocess.Popen(
        demo.argv("-tt", "approvals@approver"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=demo.environment | {"TERM": "xterm"},
    )
    assert screens.stdout is not None
    assert screens.stdout.read(1)
    with unlocked_after(demo, "bob@example.com"):
        lock(demo, "bob@example.com")
        out, _ = screens.communicate(timeout=10)
        assert screens.returncode == 77
        assert b"you are locked by dana@example.com: laptop stolen" in out
        told = demo.ssh("broker@approver", "pending")
        assert (told.returncode, told.stdout) == (77, "")


def test_an_open_connection_gets_no_new_channel(demo: Demo) -> None:
    path = demo.folder / "cm-lock"
    master = ("-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", "ControlPersist=20")
    assert demo.ssh(*master, "orders@agent", "SELECT 1").returncode == 0
    with unlocked_after(demo, AGENT):
        lock(demo, AGENT)
        second = demo.ssh(*master, "orders@agent", "SELECT 1")
        assert second.returncode == 77
        assert "you are locked" in second.stderr
    demo.ssh("-o", f"ControlPath={path}", "-O", "exit", "orders@agent")


def test_a_locked_identity_gets_no_certificate(demo: Demo) -> None:
    with unlocked_after(demo, "carol@example.com"):
        lock(demo, "carol@example.com")
        ran = subprocess.run(
            ["ssh", "-F", str(demo.folder / "login_config"), "login@auditor"],
            input=(demo.folder / "auditor.token").read_text(),
            capture_output=True,
            text=True,
            env=demo.environment,
            timeout=30,
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (77, "")
    assert "you are locked by dana@example.com" in ran.stderr
    assert any("you are locked" in e["why"] for e in demo.events() if e["type"] == "login.refused")


def test_kill_ends_one_session_and_nothing_else(demo: Demo) -> None:
    waiting = demo.begin("orders@agent", "DELETE FROM refunds WHERE id = 108")
    card = demo.waiting("id = 108")
    for persona in ("engineer", "auditor"):
        refused = demo.ssh(f"broker@{persona}", f"kill {card['session']}")
        assert refused.returncode == 64
        assert "there is no session" in refused.stderr
    killed = demo.ssh("broker@approver", f"kill {card['session']} --reason not now")
    assert killed.returncode == 0, killed.stderr
    _, err = waiting.communicate(timeout=10)
    assert waiting.returncode == 77
    assert "interlock: this session was ended by bob@example.com: not now\n" in err
    assert record(demo, card["session"])["status"] == "killed"
    again = demo.ssh("broker@approver", f"kill {card['session']}")
    assert (again.returncode, "is over: killed" in again.stderr) == (64, True)
    assert demo.json("broker@admin", "locks --json") == []
    assert demo.ssh("orders@agent", "SELECT 1").returncode == 0
    told = moment(demo, "session.killed", sid=card["session"], reason="not now")
    assert moment(demo, "session.closed", sid=card["session"]) - told < SECOND_MS


@pytest.mark.parametrize("persona", ["agent", "engineer", "approver", "auditor"])
def test_nobody_but_an_admin_locks(demo: Demo, persona: str) -> None:
    for verb in ("lock box --reason x", "unlock box"):
        told = demo.ssh(f"broker@{persona}", verb)
        assert told.returncode == 77
        assert "locking is for group:admins" in told.stderr
    looked = demo.ssh(f"broker@{persona}", "locks --json")
    assert looked.returncode == (0 if persona == "auditor" else 77)


@pytest.mark.parametrize(
    "word", ["oders", "issuer:nobody", "target:nobody", "session:x", "identity:"]
)
def test_a_slip_locks_nothing(demo: Demo, word: str) -> None:
    told = demo.ssh("broker@admin", f"lock {word} --reason x")
    assert told.returncode == 64
    assert "interlock: " in told.stderr
    assert demo.json("broker@admin", "locks --json") == []


def test_no_token_is_in_anything_that_is_kept(demo: Demo) -> None:
    tokens = [path.read_text().strip() for path in demo.folder.glob("*.token")]
    for token in tokens:
        for given in (token, token[:-4] + "AAAA"):
            subprocess.run(
                ["ssh", "-F", str(demo.folder / "login_config"), "login@admin"],
                input=given,
                capture_output=True,
                text=True,
                env=demo.environment,
                timeout=30,
                check=False,
            )
    kept = [path for path in (demo.folder / "state").rglob("*") if path.is_file()]
    assert any(path.name == "interlock.sqlite" for path in kept)
    kept.append(demo.folder.parent / f"{demo.folder.name}.err")
    for path in kept:
        data = path.read_bytes()
        for token in tokens:
            _, claims, signature = token.split(".")
            assert claims.encode() not in data, path
            assert signature[:40].encode() not in data, path
