"""Two brokers on one PostgreSQL store, with the stock ssh: what one says holds at the other."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.oidc import provider
from tests.fixtures.postgres import free_port
from tests.fixtures.served import Person, Served, interlock, serving, until
from tests.fixtures.stores import own_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.oidc import Provider
    from tests.fixtures.stores import Stoppable

pytestmark = pytest.mark.peer

SECOND_MS = 1000
PASSWORD = "postgres:postgres@"
CONFIG = """\
listen: 127.0.0.1:0
state: state
drain: 1s
store: {dsn}
on_store_loss: {loss}
issuers:
  - name: corp
    issuer: {issuer}
    audience: interlock
    kind: human
    user: "{{email}}"
    groups_claim: groups
targets:
  box: {{kind: command, argv: [/bin/sh], cwd: {box}}}
rules:
  - name: look
    who: ["*"]
    targets: [box]
    allow: {{commands: ["echo **", "sleep *"]}}
    review: {{commands: ["touch **"], approvers: [group:dba], expires: 1h}}
  - name: soon
    who: ["*"]
    targets: [box]
    review: {{commands: ["mkdir **"], approvers: [group:dba], expires: 3s}}
limits: {{sessions_per_identity: 3, connections_per_identity: 12, logins_per_source: 40}}
"""


@dataclass
class Pair:
    """Two nodes and their people; each person is known to both by one certificate."""

    a: Served
    b: Served
    corp: Provider
    store: Stoppable
    box: Path
    people: dict[str, tuple[Person, Person]]

    def at(self, node: str, name: str) -> Person:
        """Somebody, connected to that node."""
        return self.people[name]["ab".index(node)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("nodes")
    for name in ("a", "b", "box"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        store = stack.enter_context(own_postgres())
        corp = stack.enter_context(provider("ES256"))
        nodes: list[Served] = []
        for name, loss in (("a", "{end_after: 1s}"), ("b", "keep")):
            config = CONFIG.format(dsn=store.dsn, loss=loss, issuer=corp.url, box=folder / "box")
            if nodes:
                _copy_authorities(nodes[0].state, folder / name / "state")
            nodes.append(stack.enter_context(serving(folder / name, config)))
        people = {
            name: _known(nodes[0], nodes[1], name, corp.token(sub=name, email=mail, groups=[group]))
            for name, mail, group in (
                ("ann", "ann@example.com", "engineers"),
                ("bea", "bea@example.com", "engineers"),
                ("bob", "bob@example.com", "dba"),
                ("carl", "carl@example.com", "dba"),
                ("dana", "dana@example.com", "admins"),
                ("eve", "eve@example.com", "auditors"),
            )
        }
        yield Pair(nodes[0], nodes[1], corp, store, folder / "box", people)


def _copy_authorities(first: Path, other: Path) -> None:
    """As docs/operators.md says: the authorities are one for all nodes, other keys their own."""
    (other / "keys").mkdir(mode=0o700, parents=True)
    for name in ("user_ca", "host_ca", "target_ca"):
        for file in (name, f"{name}.pub"):
            shutil.copy2(first / "keys" / file, other / "keys" / file)


def _known(a: Served, b: Served, name: str, token: str) -> tuple[Person, Person]:
    here = a.person(name, token)
    there = Person(b, b.folder / name)
    shutil.copytree(here.home, there.home)
    (there.home / "config").unlink()
    return here, there


@contextmanager
def waiting(person: Person, command: str = "touch x") -> Iterator[subprocess.Popen[str]]:
    """A command that waits for people, or runs, until the end of the block."""
    begun = person.begin("box", command)
    try:
        yield begun
    finally:
        begun.terminate()
        begun.communicate(timeout=15)


def record(person: Person, session: str) -> dict[str, Any]:
    return next(dict(one) for one in person.json("sessions") if one["id"] == session)


def opened_by(eye: Person, who: str) -> list[dict[str, Any]]:
    return [
        one
        for one in eye.json("sessions")
        if one["status"] == "open" and one["identity"] == f"human:{who}@example.com@corp"
    ]


def moment(served: Served, kind: str, **fields: object) -> int:
    """When that node's log says that this happened, in milliseconds."""

    def found() -> int:
        for event in reversed(served.events()):
            if event["type"] == kind and all(event[k] == v for k, v in fields.items()):
                return int(event["ts_ms"])
        return 0

    return int(until(found, 10))


def test_a_lock_at_one_node_ends_a_session_of_the_other_within_a_second(pair: Pair) -> None:
    with waiting(pair.at("b", "ann"), "touch locked") as begun:
        card = pair.at("a", "bob").waiting("touch locked")
        locked = pair.at("a", "dana").ssh("broker", "lock ann@example.com --reason stolen")
        assert locked.returncode == 0, locked.stderr
        _, err = begun.communicate(timeout=10)
    assert begun.returncode == 77
    assert "this session was ended: you are locked by dana@example.com: stolen" in err
    again = pair.at("b", "ann").ssh("box", "echo 1")
    assert (again.returncode, "you are locked" in again.stderr) == (77, True)
    unlocked = pair.at("b", "dana").ssh("broker", "unlock ann@example.com")
    assert unlocked.returncode == 0, unlocked.stderr
    until(lambda: pair.at("a", "ann").ssh("box", "echo 1").returncode == 0, 5)
    closed = moment(pair.b, "session.closed", sid=card["session"], status="killed")
    took = closed - moment(pair.a, "lock.set")
    print(f"lock at one node to the closed session at the other: {took} ms")  # noqa: T201
    assert 0 <= took < SECOND_MS


def test_kill_reaches_a_session_of_the_other_node(pair: Pair) -> None:
    with waiting(pair.at("b", "ann"), "touch killed") as begun:
        card = pair.at("a", "bob").waiting("touch killed")
        killed = pair.at("a", "bob").ssh("broker", f"kill {card['session']} --reason enough")
        assert killed.returncode == 0, killed.stderr
        _, err = begun.communicate(timeout=10)
    assert begun.returncode == 77
    assert "this session was ended by bob@example.com: enough" in err
    assert record(pair.at("a", "eve"), card["session"])["status"] == "killed"
    told = moment(pair.a, "session.killed", sid=card["session"])
    assert moment(pair.b, "session.closed", sid=card["session"]) - told < SECOND_MS
    until(lambda: pair.at("a", "dana").json("locks") == [], 5)


def test_one_line_of_known_hosts_is_enough_for_all_nodes(pair: Pair) -> None:
    lines = [(served.folder / "known_hosts").read_text() for served in (pair.a, pair.b)]
    assert lines[0] == lines[1]
    keys = [(served.state / "keys" / "host_key").read_bytes() for served in (pair.a, pair.b)]
    assert keys[0] != keys[1]


def test_a_node_without_a_store_does_not_start_and_says_why_without_the_password(
    pair: Pair, tmp_path: Path
) -> None:
    dsn = f"postgresql://postgres:postgres@127.0.0.1:{free_port()}/x?sslmode=disable"
    file = tmp_path / "interlock.yaml"
    file.write_text(
        CONFIG.format(dsn=dsn, loss="end", issuer=pair.corp.url, box=pair.box),
    )
    checked = interlock("check", "--config", str(file))
    assert checked.returncode == 0, checked.stderr
    assert "its password is in this file" in checked.stderr + checked.stdout
    ran = interlock("serve", "--config", str(file))
    assert ran.returncode == 75
    assert "interlock: the store cannot be reached: " in ran.stderr
    for told in (checked.stderr, checked.stdout, ran.stderr):
        assert PASSWORD not in told
        assert "Traceback" not in told


def test_a_token_is_used_once_and_serials_differ_over_both_nodes(pair: Pair) -> None:
    token = pair.corp.token(sub="cy", email="cy@example.com", groups=["engineers"])
    here = pair.a.person("cy", token)
    there = Person(pair.b, pair.b.folder / "cy")
    shutil.copytree(here.home, there.home)
    (there.home / "config").unlink()
    again = there.ssh("login", given=token)
    assert (again.returncode, again.stdout) == (77, "")
    assert "the token was used already" in again.stderr
    assert there.ssh("box", "echo known").stdout == "known\n"
    serials = pair.store.execute("SELECT serial FROM serials")
    assert len(serials) == len(set(serials)) >= len(pair.people)


def test_sessions_of_all_nodes_are_listed_with_their_node(pair: Pair) -> None:
    for node in "ab":
        assert pair.at(node, "bea").ssh("box", "echo 1").returncode == 0
    for node in "ab":
        mine = pair.at(node, "bea").json("sessions")
        assert len({one["node"] for one in mine}) == 2
        assert {one["status"] for one in mine} == {"ended"}
        text = pair.at(node, "bea").ssh("broker", "sessions").stdout
        assert all(one["node"] in text for one in mine)
    # The recording is where the session was, and whoever asks elsewhere is told so.
    newest = pair.at("a", "bea").json("sessions")[0]
    assert pair.at("b", "eve").ssh("broker", f"play {newest['id']}").returncode == 0
    told = pair.at("a", "eve").ssh("broker", f"play {newest['id']}")
    assert (told.returncode, f"is on node {newest['node']}" in told.stderr) == (64, True)


def test_sessions_are_limited_over_both_nodes(pair: Pair) -> None:
    ann, eve = {node: pair.at(node, "ann") for node in "ab"}, pair.at("a", "eve")
    with waiting(ann["a"]), waiting(ann["b"]), waiting(ann["b"]):
        until(lambda: len(opened_by(eve, "ann")) == 3)
        for node in "ab":
            more = ann[node].ssh("box", "echo 1")
            assert more.returncode == 75
            assert "you have 3 sessions open, which is the limit" in more.stderr
        assert pair.at("b", "bea").ssh("box", "echo 1").returncode == 0
    until(lambda: ann["a"].ssh("box", "echo 1").returncode == 0)


def test_connections_are_limited_over_both_nodes(pair: Pair) -> None:
    with ExitStack() as stack:
        for number in range(12):
            idle = pair.at("ab"[number % 2], "bea").begin("-N", "broker")
            stack.callback(idle.communicate)
            stack.callback(idle.terminate)

        def refused() -> bool:
            told = [pair.at(node, "bea").ssh("broker", "whoami") for node in "ab"]
            return all("you have 12 connections open" in one.stderr for one in told)

        until(refused, 20)
    until(lambda: pair.at("a", "bea").ssh("broker", "whoami").returncode == 0)


def test_an_approver_at_any_node_answers_within_a_second(pair: Pair) -> None:
    for node, other in ("ab", "ba"):
        name = f"made-at-{node}"
        with waiting(pair.at(node, "ann"), f"touch {name}") as begun:
            card = pair.at(other, "bob").waiting(name)
            (shown,) = pair.at(other, "bob").json("show", card["id"])
            assert (shown["digest"], shown["state"]) == (card["digest"], "pending")
            said = pair.at(other, "bob").ssh(
                "broker", f"approve {card['id']} --digest {card['digest']} --reason INC-7"
            )
            assert said.returncode == 0, said.stderr
            _, err = begun.communicate(timeout=10)
        assert begun.returncode == 0, err
        assert (pair.box / name).exists()
        nodes = {"a": pair.a, "b": pair.b}
        answered = moment(nodes[other], "review.answered", review=card["id"])
        used = moment(nodes[node], "review.closed", review=card["id"], state="used")
        print(f"answer at one node to use at the other: {used - answered} ms")  # noqa: T201
        assert 0 <= used - answered < SECOND_MS
        late = pair.at(node, "carl").ssh("broker", f"approve {card['id']}")
        assert (late.returncode, "is already used" in late.stderr) == (77, True)


def test_a_denial_elsewhere_is_told_with_its_reason(pair: Pair) -> None:
    with waiting(pair.at("a", "ann"), "touch denied") as begun:
        card = pair.at("b", "bob").waiting("touch denied")
        assert pair.at("b", "bob").ssh("broker", f"deny {card['id']} --reason no").returncode == 0
        _, err = begun.communicate(timeout=10)
    assert begun.returncode == 77
    assert "denied by bob@example.com: no" in err
    assert not (pair.box / "denied").exists()


def test_of_two_answers_at_two_nodes_one_counts(pair: Pair) -> None:
    for number in range(3):
        name = f"raced-{number}"
        with waiting(pair.at("a", "ann"), f"touch {name}") as begun:
            card = pair.at("a", "bob").waiting(name)
            with ThreadPoolExecutor(2) as threads:
                yes = threads.submit(pair.at("a", "bob").ssh, "broker", f"approve {card['id']}")
                no = threads.submit(
                    pair.at("b", "carl").ssh, "broker", f"deny {card['id']} --reason no"
                )
            codes = (yes.result().returncode, no.result().returncode)
            begun.communicate(timeout=10)
        assert sorted(codes) == [0, 77], (yes.result(), no.result())
        assert (begun.returncode == 0) == (codes[0] == 0) == (pair.box / name).exists()


def test_a_dead_nodes_sessions_are_closed_by_the_other(pair: Pair) -> None:
    with waiting(pair.at("b", "ann"), "touch orphaned"), waiting(pair.at("a", "bea")):
        card = pair.at("a", "bob").waiting("touch orphaned")
        until(lambda: opened_by(pair.at("a", "eve"), "bea"))
        pair.b.process.send_signal(signal.SIGKILL)
        pair.b.process.wait()
        assert record(pair.at("a", "eve"), card["session"])["status"] == "open"
        pair.store.execute(  # half a minute later
            "UPDATE nodes SET lease_until = now() - interval '1 second'"
            f" WHERE name = '{record(pair.at('a', 'eve'), card['session'])['node']}'"
        )
        until(lambda: record(pair.at("a", "eve"), card["session"])["status"] == "interrupted")

        def withdrawn() -> bool:
            (shown,) = pair.at("a", "bob").json("show", card["id"])
            return bool(shown["state"] == "withdrawn")

        until(withdrawn)
        assert opened_by(pair.at("a", "eve"), "bea")
        pair.b.start()
        assert opened_by(pair.at("a", "eve"), "bea")  # its restart is not ours
    assert moment(
        pair.a, "broker.recovered", node=record(pair.at("a", "eve"), card["session"])["node"]
    )
    assert pair.at("b", "ann").ssh("box", "echo 1").returncode == 0


def test_a_node_that_is_killed_and_started_again_interrupts_its_own(pair: Pair) -> None:
    with waiting(pair.at("b", "ann"), "touch again"), waiting(pair.at("a", "bea")):
        card = pair.at("a", "bob").waiting("touch again")
        pair.b.process.send_signal(signal.SIGKILL)
        pair.b.process.wait()
        pair.b.start()
        assert record(pair.at("a", "eve"), card["session"])["status"] == "interrupted"
        (shown,) = pair.at("a", "bob").json("show", card["id"])
        assert shown["state"] == "withdrawn"
        assert opened_by(pair.at("a", "eve"), "bea")


def test_without_the_store_nobody_begins_and_it_is_used_again_when_it_is_back(pair: Pair) -> None:
    eve = pair.at("a", "eve")
    with ExitStack() as stack:
        ends = stack.enter_context(waiting(pair.at("a", "ann"), "touch lost"))
        asks = stack.enter_context(waiting(pair.at("b", "ann"), "mkdir soon"))
        talks = stack.enter_context(talking(pair.at("b", "bea")))
        lost = pair.at("b", "bob").waiting("touch lost")
        pair.at("b", "bob").waiting("mkdir soon")
        (kept,) = until(lambda: opened_by(eve, "bea"))
        said(talks, "echo before", "before")
        pair.store.stop()
        try:
            began = time.monotonic()
            refused(pair.at("a", "bea").ssh("box", "echo 1"))
            refused(pair.at("b", "carl").ssh("broker", "pending"))
            token = pair.corp.token(sub="new", email="new@example.com", groups=["engineers"])
            refused(pair.at("b", "bea").ssh("login", given=token), "login")
            print(f"three refusals took {time.monotonic() - began:.2f} s")  # noqa: T201
            _, err = ends.communicate(timeout=10)
            assert (ends.returncode, "the broker has lost its store" in err) == (70, True), err
            said(talks, "echo meanwhile", "meanwhile")
            _, err = asks.communicate(timeout=10)
            assert (asks.returncode, "nobody answered within 0:03" in err) == (75, True), err
        finally:
            pair.store.start()
        for node in "ab":
            until(lambda node=node: pair.at(node, "ann").ssh("box", "echo 1").returncode == 0)
        said(talks, "echo after", "after")
        assert record(eve, lost["session"])["status"] in {"failed", "interrupted", "ended"}
        until(lambda: record(eve, lost["session"])["status"] == "failed")
        assert record(eve, kept["id"])["status"] == "open"
        (shown,) = until(lambda: pair.at("a", "bob").json("show", lost["id"]))
        until(lambda: pair.at("a", "bob").json("show", lost["id"])[0]["state"] == "withdrawn")
        assert shown["digest"] == lost["digest"]
    assert not (pair.box / "lost").exists()
    assert not (pair.box / "soon").exists()


def test_what_needs_a_review_while_the_store_is_away_is_refused_and_the_session_lives(
    pair: Pair,
) -> None:
    with talking(pair.at("b", "bea"), "-tt") as talks:
        typed(talks, 'echo be""fore', "before")
        pair.store.stop()
        try:
            typed(talks, "touch unasked", "but nobody can be asked: the store cannot be reached")
            typed(talks, 'echo still he""re', "still here")
        finally:
            pair.store.start()
    assert not (pair.box / "unasked").exists()
    until(lambda: pair.at("b", "bea").ssh("box", "echo 1").returncode == 0)


def test_a_store_that_answers_nothing_holds_nobody_for_long(pair: Pair) -> None:
    with talking(pair.at("b", "bea")) as talks:
        said(talks, "echo before", "before")
        with pair.store.frozen():
            began = time.monotonic()
            one = pair.at("b", "ann").ssh("box", "echo 1")
            first = time.monotonic() - began
            said(talks, "echo meanwhile", "meanwhile")
            two = pair.at("b", "ann").ssh("box", "echo 1")
            both = time.monotonic() - began
            assert (one.returncode, two.returncode) == (75, 75), (one, two)
            print(f"a frozen store: refused after {first:.1f} s, then {both:.1f} s")  # noqa: T201
            assert both < 10
        for node in "ab":
            until(lambda node=node: pair.at(node, "ann").ssh("box", "echo 1").returncode == 0)
        said(talks, "echo after", "after")


def test_the_password_of_the_store_is_nowhere(pair: Pair) -> None:
    for served in (pair.a, pair.b):
        assert PASSWORD in served.file.read_text()
        kept = [path for path in served.state.rglob("*") if path.is_file()]
        for path in (served.errors, *kept):
            assert PASSWORD.encode() not in path.read_bytes(), path
        words = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, check=True)
        assert PASSWORD.encode() not in words.stdout
        assert served.verify()["ok"]  # each node has a whole log of its own


@contextmanager
def talking(person: Person, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A session that is written to line by line: a script, or interactive with `-tt`."""
    begun = person.begin(*options, "box", stdin=subprocess.PIPE)
    try:
        yield begun
    finally:
        begun.terminate()
        begun.communicate(timeout=15)


def said(talks: subprocess.Popen[str], line: str, answer: str) -> None:
    """A script's line and its one line of output."""
    assert talks.stdin is not None
    assert talks.stdout is not None
    talks.stdin.write(line + "\n")
    talks.stdin.flush()
    assert talks.stdout.readline() == answer + "\n"


def typed(talks: subprocess.Popen[str], line: str, answer: str) -> None:
    """A typed line, and what comes after it on the terminal."""
    assert talks.stdin is not None
    assert talks.stdout is not None
    talks.stdin.write(line + "\r")
    talks.stdin.flush()
    seen = ""
    while answer not in seen:
        more = talks.stdout.read(1)
        assert more, seen
        seen += more


def refused(ran: subprocess.CompletedProcess[str], what: str = "") -> None:
    assert ran.returncode == 75, (what, ran)
    assert ran.stdout == ""
    assert "interlock: the store cannot be reached now; try again soon\n" in ran.stderr
    assert "Traceback" not in ran.stderr
