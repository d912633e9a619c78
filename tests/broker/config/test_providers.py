from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.identity.custody import InAgent, InFile
from tests.broker.config.samples import loaded, only

if TYPE_CHECKING:
    from broker.identity.custody import Custody

ISSUER = {
    "name": "corp",
    "issuer": "'https://id.example.com'",
    "audience": "us",
    "kind": "human",
    "user": "'{email}'",
}


def text(**changes: str | None) -> str:
    """One issuer, on one line each, with these keys changed, added or (None) left out."""
    keys = {key: value for key, value in (ISSUER | changes).items() if value is not None}
    first, *rest = [f"{key}: {value}" for key, value in keys.items()]
    return "issuers:\n" + "\n".join([f"  - {first}", *(f"    {line}" for line in rest)]) + "\n"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "'http://id.example.com'"}, "3: issuers[0].issuer: must begin with https://"),
        ({"issuer": "id.example.com"}, "3: issuers[0].issuer: is not an address such as"),
        ({"issuer": "'https://u:p@x.com'"}, "3: issuers[0].issuer: may have no user, query"),
        ({"audience": None}, "2: issuers[0]: the key `audience` is missing"),
        ({"kind": "robot"}, "5: issuers[0].kind: `robot` is not one of human, agent"),
        ({"user": "'{email'"}, "6: issuers[0].user: has a brace without its partner"),
        ({"user": "'a b {email}'"}, "6: issuers[0].user: may hold only letters"),
        ({"user": "someone"}, "6: issuers[0].user: names every person alike"),
        ({"groups": "ci"}, "7: issuers[0].groups: must be a list"),
        ({"ttl": "2d"}, "7: issuers[0].ttl: must be from 0:00:01 to 1 day"),
        ({"ttl": "15"}, "7: issuers[0].ttl: must be a duration"),
        ({"name": "a@b"}, "2: issuers[0].name: `a@b` is not a name of letters"),
        ({"name": "no"}, "2: issuers[0].name: YAML takes no for true or false"),
        ({"requires": "{a: b}"}, "7: issuers[0].requires: unknown key `requires` (did you mean"),
        ({"require": "{a: []}"}, "7: issuers[0].require.a: must not be empty"),
        ({"skew": "6m"}, "7: issuers[0].skew: must be from 0:00:00 to 0:05:00"),
        ({"keys_life": "9m"}, "7: issuers[0].keys_life: must be from 0:10:00 to 1 day"),
        ({"user": "'{\"a.b}'"}, "6: issuers[0].user: is not a claim's name; steps with dots"),
        ({"keep": "['\"a.b\".']"}, "7: issuers[0].keep[0]: is not a claim's name; steps"),
        ({"require": "{'\"a\"b': c}"}, '7: issuers[0].require."a"b: is not a claim\'s name'),
        ({"groups_claim": "'\"\"'"}, "7: issuers[0].groups_claim: is not a claim's name"),
        ({"require": "{a: {b: c}}"}, "7: issuers[0].require.a: must be a list"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, str | None], said: str) -> None:
    assert only(tmp_path, text(**changes)).startswith(said)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "http://[::1]/x", "http://localhost"])
def test_http_is_for_this_machine(tmp_path: Path, address: str) -> None:
    assert loaded(tmp_path, text(issuer=f"'{address}'")).issuers[0].issuer == address


def test_all_keys(tmp_path: Path) -> None:
    issuer = loaded(
        tmp_path,
        text(
            require="{email_verified: true, org: [a, 'b*'], level: 3}",
            keep="[team]",
            skew="0s",
            keys_life="10m",
            pin_source="true",
            ttl="1h",
        ),
    ).issuers[0]
    assert issuer.require == {"email_verified": ("true",), "org": ("a", "b*"), "level": ("3",)}
    assert (issuer.skew, issuer.ttl) == (timedelta(), timedelta(hours=1))
    assert issuer.pin_source
    assert issuer.keys_life == timedelta(minutes=10)


def test_claims_with_dots_in_their_names(tmp_path: Path) -> None:
    issuer = loaded(
        tmp_path,
        text(
            user="'{\"kubernetes.io\".namespace}'",
            require="{'\"kubernetes.io\".pod.name': 'web-*'}",
            keep="['\"kubernetes.io\".pod.name']",
        ),
    ).issuers[0]
    assert issuer.user == '{"kubernetes.io".namespace}'
    assert issuer.require == {'"kubernetes.io".pod.name': ("web-*",)}
    assert issuer.keep == ('"kubernetes.io".pod.name',)


def test_two_of_one_name(tmp_path: Path) -> None:
    second = text(issuer="'https://other.example.com'").removeprefix("issuers:\n")
    assert only(tmp_path, text() + second) == "7: issuers[1]: the name corp is taken"


def test_two_for_the_same_tokens(tmp_path: Path) -> None:
    second = text(name="corp2").removeprefix("issuers:\n")
    assert only(tmp_path, text() + second).startswith("8: issuers[1]: an issuer above takes")
    other = text(name="corp2", audience="them").removeprefix("issuers:\n")
    assert len(loaded(tmp_path, text() + other).issuers) == 2


FINGERPRINT = "SHA256:" + "x" * 43


@pytest.mark.parametrize(
    ("written", "custody"),
    [
        (f"{{agent: '{FINGERPRINT}'}}", InAgent(FINGERPRINT)),
        (f"{{agent: '{FINGERPRINT}', socket: run/agent}}", InAgent(FINGERPRINT, Path("run/agent"))),
        ("{file: ca}", InFile(Path("ca"))),
    ],
)
def test_where_the_ca_key_is(tmp_path: Path, written: str, custody: Custody) -> None:
    (tmp_path / "ca").touch()
    found = loaded(tmp_path, f"user_ca: {written}\n").user_ca
    match custody:
        case InAgent(socket=Path() as path):
            custody = replace(custody, socket=tmp_path / path)
        case InFile(path):
            custody = InFile(tmp_path / path)
        case _:
            pass
    assert found == custody
    assert loaded(tmp_path, "rules: []\n").user_ca is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{}", "1: user_ca: exactly one of file, agent is needed"),
        (f"{{file: x, agent: '{FINGERPRINT}'}}", "1: user_ca: exactly one of file, agent is"),
        ("{file: gone}", "1: user_ca.file: the file"),
        ("{file: x, socket: y}", "1: user_ca.socket: belongs to agent"),
        ("{agent: 'MD5:00'}", "1: user_ca.agent: `MD5:00` is not a key's fingerprint"),
        ("keys/ca", "1: user_ca: must be {file: PATH} or {agent: SHA256:...}"),
    ],
)
def test_a_ca_key_that_is_nowhere(tmp_path: Path, written: str, said: str) -> None:
    assert only(tmp_path, f"user_ca: {written}\n").startswith(said)


def test_earlier_cas(tmp_path: Path) -> None:
    (tmp_path / "old.pub").write_text("ssh-ed25519 AAAA\n")
    assert loaded(tmp_path, "trusted_user_cas: [old.pub]\n").trusted_user_cas == (
        tmp_path / "old.pub",
    )
    said = only(tmp_path, "trusted_user_cas: [gone.pub]\n")
    assert said == f"1: trusted_user_cas: the file {tmp_path / 'gone.pub'} is not there or " + (
        "cannot be read"
    )
