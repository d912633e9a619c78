"""Nobody learns which targets there are: not from text, codes, packets or time."""

from __future__ import annotations

import re
import statistics
import time
from typing import TYPE_CHECKING

import asyncssh
import pytest

from tests.broker.identity.samples import ssh_key
from tests.e2e.certified import ANN, Ran, door, forge, make_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.certified import Door

pytestmark = pytest.mark.peer

THERE, NOWHERE = "box", "nix"  # a target, and no target; names of one length
NAMES = (THERE, NOWHERE, "broker", "approvals", "root")
DEBUG = "LogLevel=DEBUG3"
INTERACTIVE = "BatchMode=no NumberOfPasswordPrompts=1"
ROUNDS = 15


def seen(ran: Ran, user: str) -> list[str]:
    """The packets that went and came, and what was said, without what differs by itself."""
    kept = re.compile(
        r"(send|receive) packet: type \d+|Authentications that can continue|interlock:"
        r"|Permission denied"
    )
    lines = [line for line in ran.err.splitlines() if kept.search(line)]
    assert any("receive packet: type 51" in line for line in lines), ran.err  # USERAUTH_FAILURE
    after = next(n for n, line in enumerate(lines) if "send packet: type 50" in line)
    return [line.replace(f"{user}@", "USER@").strip() for line in lines[after:]]


async def knock(at: Door, key: str, user: str) -> list[str]:
    ran = await at.ssh(key, user, "ls", options=f"{DEBUG} {INTERACTIVE}")
    assert ran.code == 255
    assert ran.out == ""
    return seen(ran, user)


@pytest.mark.parametrize("proof", ["none", "a plain key", "a certificate of another CA"])
async def test_before_authentication_every_name_looks_the_same(tmp_path: Path, proof: str) -> None:
    key = make_key(tmp_path, "id")
    if proof == "a certificate of another CA":
        forge(tmp_path / make_key(tmp_path, "mallory"), tmp_path / key)
    async with door(tmp_path) as at:
        looks = {name: await knock(at, key if proof != "none" else "no", name) for name in NAMES}
        first = looks[THERE]
        assert {name: look for name, look in looks.items() if look != first} == {}
        if proof == "none":  # the one name that takes plain keys: only its advice differs
            login = await knock(at, "no", "login")
            assert [re.sub("interlock: .*", "", line) for line in login] == [
                re.sub("interlock: .*", "", line) for line in first
            ]
    assert not any(name in " ".join(first) for name in (THERE, "target"))


async def test_before_authentication_no_name_takes_longer(tmp_path: Path) -> None:
    taken: dict[str, list[float]] = {name: [] for name in (THERE, NOWHERE, "approvals")}
    async with door(tmp_path) as at:
        for _ in range(ROUNDS):
            for name, times in taken.items():  # in turns, so that a busy machine is so for all
                began = time.perf_counter()
                with pytest.raises(asyncssh.PermissionDenied):
                    await at.connect(name, [ssh_key()])
                times.append(time.perf_counter() - began)
    middle = {name: statistics.median(times) for name, times in taken.items()}
    least, most = min(middle.values()), max(middle.values())
    assert most - least < least * 0.5 + 0.005, middle


@pytest.mark.parametrize(
    "words",
    [
        ("{}", "ls"),
        ("{}", ""),
        ("broker", "check", "{}", "ls"),
        ("broker", "check", "--json", "{}", "ls"),
    ],
    ids=["a command", "a session", "check", "check --json"],
)
async def test_a_target_of_others_is_answered_like_one_that_is_not_there(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        login = await at.ssh(key, "login", given=at.issuer.token(ANN | {"groups": ["nobodies"]}))
        (tmp_path / "id-cert.pub").write_text(login.out)
        answers = []
        for name in (THERE, NOWHERE):
            ran = await at.ssh(key, *(word.format(name) for word in words if word))
            answers.append(Ran(ran.code, ran.out, ran.err.replace(name, "NAME")))
    assert answers[0] == answers[1]
    assert answers[0].code == 77
    assert "interlock: no rule lets you reach 'NAME'" in answers[0].err
    kinds = {event["user"] for event in at.events("certificate.used")}
    assert kinds, "the log knows what was asked for"


async def test_nor_does_a_forward_tell(tmp_path: Path) -> None:
    key = make_key(tmp_path, "id")
    async with door(tmp_path) as at:
        login = await at.ssh(key, "login", given=at.issuer.token(ANN | {"groups": ["nobodies"]}))
        (tmp_path / "id-cert.pub").write_text(login.out)
        cert = asyncssh.read_certificate(tmp_path / "id-cert.pub")
        heard = []
        async with at.connect(
            "broker", [(asyncssh.read_private_key(tmp_path / key), cert)]
        ) as connection:
            for name in (THERE, NOWHERE):
                with pytest.raises(asyncssh.ChannelOpenError) as refused:
                    await connection.open_connection(name, 5432)
                heard.append((refused.value.code, refused.value.reason.replace(name, "NAME")))
    assert heard[0] == heard[1]
    assert "forwarding goes to a target of yours" in heard[0][1]
