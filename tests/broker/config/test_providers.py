from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.broker.config.samples import loaded, only

if TYPE_CHECKING:
    from pathlib import Path

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
        ({"ttl": "2d"}, "7: issuers[0].ttl: must be from 0:01:00 to 1 day"),
        ({"ttl": "15"}, "7: issuers[0].ttl: must be a duration"),
        ({"name": "a@b"}, "2: issuers[0].name: `a@b` is not a name of letters"),
        ({"name": "no"}, "2: issuers[0].name: YAML takes no for true or false"),
        ({"requires": "{a: b}"}, "7: issuers[0].requires: unknown key `requires` (did you mean"),
        ({"require": "{a: []}"}, "7: issuers[0].require.a: must not be empty"),
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
            pin_source="true",
            ttl="1h",
        ),
    ).issuers[0]
    assert issuer.require == {"email_verified": ("true",), "org": ("a", "b*"), "level": ("3",)}
    assert (issuer.skew, issuer.ttl) == (timedelta(), timedelta(hours=1))
    assert issuer.pin_source


def test_two_of_one_name(tmp_path: Path) -> None:
    second = text(issuer="'https://other.example.com'").removeprefix("issuers:\n")
    assert only(tmp_path, text() + second) == "7: issuers[1]: the name corp is taken"


def test_two_for_the_same_tokens(tmp_path: Path) -> None:
    second = text(name="corp2").removeprefix("issuers:\n")
    assert only(tmp_path, text() + second).startswith("8: issuers[1]: an issuer above takes")
    other = text(name="corp2", audience="them").removeprefix("issuers:\n")
    assert len(loaded(tmp_path, text() + other).issuers) == 2
