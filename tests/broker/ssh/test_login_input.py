"""Whatever comes on the standard input of `login@`: a certificate or a sentence, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncssh
from hypothesis import example, given
from hypothesis import strategies as st

from broker.identity.login import Login as Exchange
from broker.identity.login import UsedInMemory
from broker.ssh.channel import Request
from broker.ssh.device_login import DeviceLogin
from broker.ssh.login import Login
from broker.ssh.serve import _guarded
from broker.ssh.visitor import Visitor
from tests.broker.console.fake_client import FakeClient
from tests.broker.identity.samples import CORP, NOW, claims, issuer, jwk, ssh_key, token
from tests.fakes import FakeAudit, Journal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from broker.events import Event
    from broker.identity.device import Sleep, Waiting
    from broker.identity.issuers import Issuer
    from broker.model import Identity

GOOD = token()
CODES = {0, 64, 75, 77}


class Keys:
    async def keys_for(self, issuer: Issuer, kid: str | None) -> Mapping[str, Any]:
        return {"k1": jwk("ES256")}


class FakeChannel(FakeClient):
    """A client whose end is kept."""

    code: int | None = None
    events: list[Event]


def clock() -> datetime:
    return NOW


class NoFlow:
    """Nobody logs in by hand here."""

    async def begin(self, issuer: Issuer) -> Waiting:
        raise NotImplementedError

    async def poll(self, waiting: Waiting, *, sleep: Sleep) -> str:
        raise NotImplementedError


async def sign(
    key: asyncssh.SSHKey, identity: Identity, ttl: timedelta, source: str
) -> tuple[bytes, Identity]:
    made = ssh_key(name="ca").generate_user_certificate(key, str(identity), principals=["ann"])
    return made.export_certificate(), identity


async def given_on_stdin(chunks: list[bytes]) -> FakeChannel:
    exchange = Exchange((CORP, issuer(name="other")), Keys(), UsedInMemory(), clock)
    audit = FakeAudit(Journal())
    login = Login(exchange.exchange, sign, audit, DeviceLogin(NoFlow(), tuple))
    channel = FakeChannel()
    channel.events = audit.events
    for chunk in chunks:
        if chunk:
            channel.type(chunk)
    channel.end()
    visitor = Visitor("login", "127.0.0.1", key=ssh_key(name="mine"))
    channel.code = await _guarded(login, visitor, channel, Request())  # type: ignore[arg-type]
    return channel


def altered(text: str) -> st.SearchStrategy[bytes]:
    """A good token with a stretch of it replaced."""
    data = text.encode()
    return st.builds(
        lambda at, length, new: data[:at] + new + data[at + length :],
        st.integers(0, len(data)),
        st.integers(0, 40),
        st.binary(max_size=40),
    )


ANYTHING = st.one_of(
    st.binary(max_size=300),
    st.text(alphabet="eyJ.AaZz09-_=\n ", max_size=300).map(str.encode),
    altered(GOOD),
    altered(token(claims(sub="x" * 3000))),
    st.integers(15_000, 40_000).map(lambda size: b"a.b." * (size // 4)),
)


@given(st.lists(ANYTHING, max_size=3))
@example([GOOD.encode()])
@example([GOOD[:50].encode(), GOOD[50:].encode(), b"\r\n"])
@example([b"\xff\xfe"])
@example([b"." * 16384])
async def test_a_certificate_or_a_sentence(chunks: list[bytes]) -> None:
    channel = await given_on_stdin(chunks)
    assert channel.code in CODES
    sentence = channel.errors.decode()
    assert sentence.startswith("interlock: ")
    assert sentence.count("\n") == 1
    assert all(c.isprintable() for c in sentence.rstrip("\n"))
    assert GOOD.rpartition(".")[2] not in sentence
    told = json.dumps([dict(event.fields) for event in channel.events])
    assert not any(part in told for part in GOOD.split("."))
    assert [event.type for event in channel.events] == {
        0: ["login.granted"],
        64: [],
    }.get(channel.code, ["login.refused"])
    if channel.code == 0:
        signed = asyncssh.import_certificate(channel.output).key
        assert signed.get_fingerprint() == ssh_key(name="mine").get_fingerprint()
        assert channel.output.count(b"\n") == 1
    else:
        assert channel.output == b""


async def test_nothing_at_all_is_waited_for_only_so_long() -> None:
    exchange = Exchange((CORP,), Keys(), UsedInMemory(), clock)
    device = DeviceLogin(NoFlow(), lambda: (CORP, issuer(name="ci", client_id=None)))
    login = Login(exchange.exchange, sign, FakeAudit(Journal()), device, token_wait=0.01)
    channel = FakeChannel()
    channel.type(GOOD[:50].encode())  # and no end
    visitor = Visitor("login", "127.0.0.1", key=ssh_key(name="mine"))
    code = await _guarded(login, visitor, channel, Request())  # type: ignore[arg-type]
    assert code == 64
    assert b"no ID token on standard input after 0 s; " in channel.errors
    assert b"login@THIS-HOST corp" in channel.errors


async def test_only_the_token_itself_gives_a_certificate() -> None:
    assert (await given_on_stdin([GOOD.encode()])).code == 0
    assert (await given_on_stdin([GOOD.encode()[:-10]])).code == 77
