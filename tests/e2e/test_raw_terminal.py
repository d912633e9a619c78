"""A raw terminal with stock ssh: by its rule alone, reviewed, masked, recorded, ended by kill."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.fixtures.oidc import provider
from tests.fixtures.served import Person, _hosted, issuers, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.served import Served

pytestmark = pytest.mark.peer

RULES = """\
targets:
  box: {kind: command, argv: [/bin/sh], cwd: /}
  den: {kind: command, argv: [/bin/sh], cwd: /}
rules:
  - name: lines
    who: [group:engineers]
    targets: [box]
    allow: {commands: ["echo **"]}
  - name: raw
    who: [group:engineers]
    targets: [box]
    allow: {terminal: true}
  - name: asked
    who: [group:engineers]
    targets: [den]
    review: {terminal: true, approvers: [group:dba]}
masking: {detect: [email]}
"""


@pytest.fixture
def people(tmp_path: Path) -> Iterator[tuple[Served, Person, Person]]:
    with provider("ES256") as corp, provider("ES256") as ci:
        config = f"listen: 127.0.0.1:0\nstate: state\n{issuers(corp, ci)}{RULES}"
        with serving(tmp_path, config) as served:
            ann = served.person("ann", corp.token(email="ann@x.example", groups=["engineers"]))
            bob = served.person("bob", corp.token(email="bob@x.example", groups=["dba"]))
            yield served, ann, bob


@contextmanager
def terminal(person: Person, *words: str) -> Iterator[pexpect.spawn[str]]:
    argv = person.argv("-tt", *_hosted(words))
    child = pexpect.spawn(
        argv[0], argv[1:], env=person.environment, encoding="utf-8", timeout=20, dimensions=(24, 80)
    )
    try:
        yield child
    finally:
        child.close(force=True)


def test_its_lines_are_not_judged_and_all_of_it_is_masked_and_recorded(
    people: tuple[Served, Person, Person],
) -> None:
    served, ann, _ = people
    with terminal(ann, "box", "terminal") as child:
        child.expect("your lines are not judged")
        child.sendline("cd /tmp && printf '%s@%s\\n' someone example.com; stty size")
        child.expect(r"\*{10,}")
        child.expect("24 80")
        child.sendline("stty -echo; read x; stty echo; echo go''ne")
        child.sendline("hunter2")
        child.expect("gone")
        child.sendline("exit 3")
        child.expect(pexpect.EOF)
    assert child.exitstatus == 3
    cast = ann.recording()
    shown = "".join(line[2] for line in cast[1:] if line[1] == "o")
    assert "not judged" in shown
    assert "someone@example.com" not in shown
    assert "hunter2" not in str(cast)
    assert any(line[1] == "m" and line[2].startswith("allow raw: ") for line in cast[1:])
    judged = [each for each in served.events() if each["type"] == "statement.judged"]
    assert [(each["rule"], each["actions"]) for each in judged] == [("raw", ["terminal"])]


def test_the_prompt_is_ours_before_and_after(people: tuple[Served, Person, Person]) -> None:
    _, ann, _ = people
    with terminal(ann, "box") as child:
        child.expect(r"box:/\$ ")
        child.send("ls\r")
        child.expect("denied")
        child.send("terminal\r")
        child.expect("your lines are not judged")
        child.send("ls -d /e*c; exit\r")
        child.expect(r"/etc\r")
        child.expect(r"box:/\$ ")
        child.send("exit\r")
        child.expect(pexpect.EOF)


def test_where_it_is_reviewed_somebody_answers_first(people: tuple[Served, Person, Person]) -> None:
    _, ann, bob = people
    with terminal(ann, "den") as child:  # the rules give nothing else: no word is needed
        child.expect("waiting for approval")
        card = bob.waiting("terminal")
        assert bob.ssh("broker", "approve", card["id"]).returncode == 0
        child.expect("your lines are not judged")
        child.sendline("sleep 60 | cat")
        session = next(each for each in ann.json("sessions") if each["status"] == "open")
        assert ann.ssh("broker", "kill", session["id"]).returncode == 0
        child.expect("interlock: ")
        child.expect(pexpect.EOF)
    assert until(lambda: not [e for e in ann.json("sessions") if e["status"] == "open"])


def test_without_a_terminal_or_a_rule_there_is_none(people: tuple[Served, Person, Person]) -> None:
    _, ann, bob = people
    ran = ann.ssh("box", "terminal")
    assert ran.returncode == 64
    assert (
        ran.stderr
        == "interlock: a raw terminal needs a terminal: ssh -t TARGET@THIS-HOST terminal\n"
    )
    assert bob.ssh("-tt", "box", "terminal").returncode == 77


def test_a_secret_that_a_program_was_given_is_masked_in_all_that_comes_back(tmp_path: Path) -> None:
    rules = """\
targets:
  keys: {kind: command, argv: [/bin/sh], cwd: /, env: {PIN: {env: THE_PIN}}}
rules:
  - name: show
    who: [group:engineers]
    targets: [keys]
    allow: {commands: ["printenv **", "head **"]}
"""
    with provider("ES256") as corp, provider("ES256") as ci:
        config = f"listen: 127.0.0.1:0\nstate: state\n{issuers(corp, ci)}{rules}"
        with serving(tmp_path, config, THE_PIN="tuna-melt-77") as served:
            ann = served.person("ann", corp.token(email="ann@x.example", groups=["engineers"]))
            ran = ann.ssh("keys", "printenv PIN; head -c 4 /dev/null; printenv PIN")
            assert (ran.stdout, ran.returncode) == ("************\n************\n", 0)
            assert "tuna" not in str(ann.recording())
