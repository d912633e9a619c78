"""What the audit log says of everybody who came to the door: who, and whether that was proven."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import asyncssh
import jwt
import pytest

from broker.demo.issuer import DemoIssuer
from tests.e2e.certified import ANN, NAME, door, forge, make_key
from tests.e2e.test_certificates import OURS, fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.certified import Door

pytestmark = pytest.mark.peer

ADMIN = "admins: [group:engineers]"
KEEP = "keep: [run_id], acting_for: '{boss}'"


async def refusal(at: Door, token: str) -> str:
    ran = await at.ssh("id", "login", given=token)
    assert ran.code == 77, ran.err
    assert ran.out == ""
    return token


def without(event: dict[str, Any], *names: str) -> dict[str, Any]:
    """The facts of an event, without what the log itself adds and what the test does not know."""
    added = {"id", "seq", "ts_ms", "type", "v", "actor", "sid", *names}
    return {name: value for name, value in event.items() if name not in added}


async def test_a_refused_token_names_whom_its_issuer_proved_or_what_it_only_claims(
    tmp_path: Path,
) -> None:
    make_key(tmp_path, "id")
    stranger = DemoIssuer("interlock")
    async with door(tmp_path) as at:
        stranger.url = at.issuer.url
        now = int(time.time())
        tokens = [
            await refusal(at, stranger.token(ANN)),
            await refusal(at, at.issuer.token(ANN | {"exp": now - 3600})),
            await refusal(at, at.issuer.token(ANN | {"email": "not a name"})),
            await refusal(at, jwt.encode(ANN | {"iss": "x" * 500}, "k" * 32, algorithm="HS256")),
            await refusal(at, stranger.token({"sub": at.issuer.token(ANN)})),
            await refusal(at, "nonsense"),
        ]
        used = at.issuer.token(ANN)
        assert (await at.ssh("id", "login", given=used)).code == 0
        tokens.append(await refusal(at, used))
    told = [without(one, "why") for one in at.events("login.refused")]
    common = {"source": "127.0.0.1", "fingerprint": fingerprint(tmp_path, "id"), "serial": None}
    claims = {"iss": at.issuer.url, "sub": "u-1"}
    hidden = claims | {"sub": "(left out: it may be a token)"}
    proven = common | {"issuer": "corp", "subject": "u-1", "claimed": None}
    claimed = common | {"issuer": None, "subject": None}
    assert told == [
        claimed | {"claimed": claims},
        proven,
        proven,
        claimed | {"claimed": {"iss": "x" * 200, "sub": "u-1"}},
        claimed | {"claimed": hidden},
        claimed | {"claimed": {}},
        proven,
    ]
    everything = b"".join(
        one.read_bytes() for one in sorted((tmp_path / "state" / "log").rglob("*")) if one.is_file()
    )
    assert b"login.refused" in everything
    for token in (one for one in tokens if "." in one):
        for part in token.split("."):
            assert part.encode() not in everything


async def test_a_granted_login_and_the_use_of_its_certificate(tmp_path: Path) -> None:
    make_key(tmp_path, "id")
    async with door(tmp_path, issuer=KEEP) as at:
        token = at.issuer.token(ANN | {"run_id": "77", "boss": "bob"})
        login = await at.ssh("id", "login", given=token)
        (tmp_path / "id-cert.pub").write_text(login.out)
        assert (await at.whoami("id")).code == 0
        assert (await at.ssh("id", "box", "ls /")).code == 0
    (granted,) = at.events("login.granted")
    who = {
        "issuer": "corp",
        "subject": "u-1",
        "acting_for": "bob",
        "fingerprint": fingerprint(tmp_path, "id"),
        "serial": granted["serial"],
        "source": "127.0.0.1",
    }
    assert without(granted) == who | {
        "groups": ["engineers"],
        "claims": {"run_id": "77"},
        "ttl_s": 900,
    }
    used = at.events("certificate.used")
    identity = f"human:{NAME}@corp"
    assert [without(one) for one in used] == [
        who | {"identity": identity, "user": user} for user in ("broker", "box")
    ]
    (opened,) = at.events("session.opened")
    assert opened["seq"] > used[1]["seq"]
    assert (opened["serial"], opened["claims"]) == (granted["serial"], {"run_id": "77"})


async def test_a_connection_without_a_channel_is_a_use_too_and_many_channels_are_one(
    tmp_path: Path,
) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        assert (await at.log_in(key)).code == 0
        private = asyncssh.read_private_key(tmp_path / key)
        keys = [(private, asyncssh.read_certificate(tmp_path / f"{key}-cert.pub"))]
        async with at.connect("approvals", keys):
            pass
        async with at.connect("broker", keys) as connection:
            for _ in range(3):
                assert (await connection.run("whoami")).exit_status == 0
    assert [one["user"] for one in at.events("certificate.used")] == ["approvals", "broker"]


async def test_a_probe_of_somebody_elses_certificate_is_no_use_of_it(tmp_path: Path) -> None:
    make_key(tmp_path, "id")
    make_key(tmp_path, "other")
    async with door(tmp_path) as at:
        assert (await at.log_in("id")).code == 0
        (tmp_path / "other-cert.pub").write_bytes((tmp_path / "id-cert.pub").read_bytes())
        assert (await at.whoami("other")).code == 255
    assert at.events("certificate.used") == []


@pytest.mark.parametrize(
    ("ca", "more", "known"),
    [
        (OURS, ("-V", "-2h:-1h"), {"issuer": "corp", "subject": "u-1", "serial": 77}),
        (OURS, ("-O", "source-address=10.0.0.0/8"), {"issuer": "corp", "serial": 77}),
        (OURS, ("-I", "nobody"), {"issuer": None, "subject": None, "serial": 77}),
        ("mallory", (), {"claimed": {"key_id": f"human:{NAME}@corp", "serial": "77"}}),
        ("mallory", ("-I", "x\n" * 300), {"claimed": {"key_id": "x?" * 100, "serial": "77"}}),
    ],
)
async def test_a_refused_certificate_names_whom_our_ca_proved_or_what_it_only_claims(
    tmp_path: Path, ca: str, more: tuple[str, ...], known: dict[str, Any]
) -> None:
    make_key(tmp_path, "id")
    make_key(tmp_path, "mallory")
    async with door(tmp_path) as at:
        forge(tmp_path / ca, tmp_path / "id", *more)
        assert (await at.whoami("id")).code == 255
    (refused,) = at.events("login.refused")
    assert {name: refused[name] for name in known} == known
    assert refused["source"] == "127.0.0.1"
    if "claimed" in known:
        assert (refused["issuer"], refused["subject"], refused["serial"]) == (None, None, None)
    else:
        assert refused["claimed"] is None


async def test_locks_and_limits_say_who_and_what(tmp_path: Path) -> None:
    make_key(tmp_path, "id")
    async with door(tmp_path, f"{ADMIN}\nlimits: {{logins_per_source: 2}}") as at:
        assert (await at.log_in("id")).code == 0
        locked = await at.ssh("id", "broker", "lock", "box", "--reason", "'a move'")
        assert locked.code == 0, locked.err
        assert (await at.ssh("id", "box", "ls")).code == 77
        unlocked = await at.ssh("id", "broker", "unlock", "box", "--reason", "done")
        assert unlocked.code == 0, unlocked.err
        assert (await at.ssh("id", "login", given="nonsense")).code == 77
        limited = await at.ssh("id", "login", given="nonsense")
        assert limited.code == 75
    who = f"human:{NAME}@corp"
    (granted,) = at.events("login.granted")
    serial = granted["serial"]
    (lock,) = at.events("lock.set")
    assert (lock["actor"], lock["lock"]) == (who, "target:box")
    assert (lock["reason"], lock["serial"]) == ("a move", serial)
    (met,) = at.events("lock.refused")
    assert (met["identity"], met["target"], met["source"]) == (who, "box", "127.0.0.1")
    assert met["serial"] == serial
    (lifted,) = at.events("lock.lifted")
    assert (lifted["actor"], lifted["reason"]) == (who, "done")
    (limit,) = at.events("limit.reached")
    assert (limit["limit"], limit["source"]) == ("logins_per_source", "127.0.0.1")
    assert limit["told"] in limited.err


async def test_a_locked_person_who_logs_in_is_named_in_full(tmp_path: Path) -> None:
    make_key(tmp_path, "id")
    async with door(tmp_path, ADMIN) as at:
        assert (await at.log_in("id")).code == 0
        locked = await at.ssh("id", "broker", "lock", NAME, "--reason", "lost")
        assert locked.code == 0, locked.err
        assert (await at.ssh("id", "login", given=at.issuer.token(ANN))).code == 77
    (refused,) = at.events("login.refused")
    assert (refused["issuer"], refused["subject"]) == ("corp", "u-1")
    assert "locked" in refused["why"]
