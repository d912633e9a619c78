"""Every issuer that docs/identity.md explains, at a real broker by a stock ssh, to the evidence.

The configuration is the document's own, but for the addresses; so are the claim sets of
`tests/broker/identity/test_workloads.py`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.broker.identity.test_workloads import AT, BLOCKS, SAMPLES, Sample
from tests.e2e.test_certificates import inside, listed
from tests.fixtures.oidc import Provider, provider
from tests.fixtures.served import Person, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.peer

TIMES = ("iat", "nbf", "exp", "auth_time")
REST = """\
listen: 127.0.0.1:0
state: state
drain: 1s
targets:
  box: {kind: command, argv: [/bin/sh]}
rules:
  - {name: look, who: ["*"], targets: [box], allow: {commands: ["ls **"]}}
  - {name: ask, who: ["*"], targets: [box],
     review: {commands: ["touch **"], approvers: [group:dba]}}
"""


@dataclass(frozen=True)
class World:
    """The broker, the providers by the name of the issuer, and somebody who approves."""

    broker: Served
    providers: dict[str, Provider]
    approver: Person

    def token(self, sample: Sample) -> str:
        """As the issuer makes it, now."""
        claims: dict[str, Any] = dict.fromkeys(("iat", "nbf", "exp", "jti", "aud"))
        claims |= dict(sample.claims)
        shift = int(time.time()) - AT
        claims |= {name: claims[name] + shift for name in TIMES if claims.get(name) is not None}
        at = self.providers[sample.issuer]
        return at.token(**claims | {"iss": at.url})


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        room = Path(tempfile.mkdtemp(prefix="interlock-workloads-"))
        stack.callback(shutil.rmtree, room, ignore_errors=True)
        entries = [
            entry
            for block in BLOCKS
            if "issuers:" in block
            for entry in yaml.safe_load(block)["issuers"]
        ]
        providers = {}
        for entry in entries:
            made = stack.enter_context(provider("RS256"))
            providers[entry["name"]] = made
            entry["issuer"] = made.url
        office = stack.enter_context(provider("ES256"))
        people = {"name": "office", "issuer": office.url, "audience": "interlock", "kind": "human"}
        entries.append(people | {"user": "{email}", "groups_claim": "groups"})
        text = json.dumps(entries)
        broker = stack.enter_context(serving(room, f"{REST}issuers: {text}\n"))
        dba = broker.person("dba", office.token(email="dba@acme.example", groups=["dba"]))
        yield World(broker, providers, dba)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.issuer)
def test_from_the_token_to_the_approval_card(world: World, sample: Sample) -> None:
    job = world.broker.person(sample.issuer, world.token(sample))
    kind, _, rest = sample.identity.partition(":")
    name, _, issuer = rest.rpartition("@")
    who = {"acting_for": sample.acting_for, "claims": dict(sample.kept)}

    certificate = job.home / "key-cert.pub"
    assert f'Key ID: "{sample.identity}"' in listed(certificate)
    assert json.loads(inside(certificate)) == who | {
        "subject": sample.claims["sub"],
        "issuer": issuer,
        "kind": kind,
        "name": name,
        "groups": list(sample.groups),
    }
    told = job.json("whoami")
    assert (told["identity"], told["kind"], told["issuer"]) == (sample.identity, kind, issuer)
    assert (told["groups"], told["acting_for"]) == (list(sample.groups), sample.acting_for)

    asking = job.begin("box", "touch /nonexistent/file")
    try:
        card = world.approver.waiting("touch")
        assert (card["identity"], card["acting_for"]) == (sample.identity, sample.acting_for)
        assert card["claims"] == who["claims"]
        shown = world.approver.ssh("broker", "show", card["id"]).stdout
        assert all(f"{name}={value}" in shown for name, value in sample.kept.items())
        answer = world.approver.ssh("broker", "deny", card["id"], "--reason", "no")
        assert answer.returncode == 0, answer.stderr
        assert asking.wait(30) == 77
    finally:
        asking.kill()
        asking.communicate()

    header = job.recording()[0]["interlock"]
    assert header["identity"] == sample.identity
    assert {name: header[name] for name in who} == who
    events = {one["type"]: one for one in world.broker.events() if one["actor"] == sample.identity}
    for kind_of_event in ("login.granted", "session.opened"):
        assert {name: events[kind_of_event][name] for name in who} == who
    assert events["certificate.used"]["acting_for"] == sample.acting_for


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.issuer)
def test_the_issuers_own_conditions_hold_at_the_door(world: World, sample: Sample) -> None:
    home = world.broker.folder / f"{sample.issuer}-other"
    home.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "key"], check=True)
    changed = replace(sample, claims={**sample.claims, **sample.not_ours[0]})
    ran = Person(world.broker, home).ssh("login", given=world.token(changed))
    assert ran.returncode == 77, ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.startswith("interlock: ")
