"""Logins against a real certified provider: its tokens, its keys, its device flow."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.clock import utc_now
from broker.errors import IdentityRefused, TryLater
from broker.identity.device import DeviceFlow
from broker.identity.jwks import KeySource, new_client
from broker.identity.login import Login, UsedInMemory
from tests.fixtures.oidc_provider import ALGORITHMS, CertifiedProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from broker.identity.device import Waiting

pytestmark = pytest.mark.peer


class Person:
    """Acts when the flow first pauses, and never lets it wait: the flow's `sleep`."""

    def __init__(self, act: Callable[[], object] | None = None) -> None:
        self.paused: list[float] = []
        self._act = act

    async def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)
        if len(self.paused) == 2 and self._act is not None:
            done = self._act()
            assert asyncio.iscoroutine(done)
            await done


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with new_client() as opened:
        yield opened


def door(client: httpx.AsyncClient, provider: CertifiedProvider, algorithm: str) -> Login:
    issuers = [provider.issuer(algorithm)]
    return Login(issuers, KeySource(client), UsedInMemory(), utc_now)


def complete(waiting: Waiting) -> str:
    assert waiting.verification_uri_complete is not None
    return waiting.verification_uri_complete


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_from_elsewhere_proves_its_person_once(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient, algorithm: str
) -> None:
    login = door(client, certified_provider, algorithm)
    token = await certified_provider.id_token("alice", algorithm)
    identity, _ = await login.exchange(token, "SHA256:x")
    assert str(identity) == "human:alice@example.com@certified"
    assert identity.groups == ("engineers", "dba")
    assert identity.subject == "alice"
    with pytest.raises(IdentityRefused, match="used already"):
        await login.exchange(token, "SHA256:x")


async def test_a_token_for_another_client_is_not_for_us(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient
) -> None:
    login = door(client, certified_provider, "es256")
    with pytest.raises(IdentityRefused, match="not meant for us"):
        await login.exchange(await certified_provider.id_token("alice", "rs256"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_person_who_uses_the_code_is_logged_in(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient, algorithm: str
) -> None:
    flow = DeviceFlow(client)
    waiting = await flow.begin(certified_provider.issuer(algorithm))
    person = Person(lambda: certified_provider.approve(complete(waiting), "bob"))
    token = await flow.poll(waiting, sleep=person.sleep)
    assert person.paused == [5.0, 5.0]  # pending once, and the provider names no interval
    identity, _ = await door(client, certified_provider, algorithm).exchange(token)
    assert str(identity) == "human:bob@example.com@certified"
    assert identity.groups == ("engineers",)


async def test_a_person_who_says_no_is_not(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient
) -> None:
    flow = DeviceFlow(client)
    waiting = await flow.begin(certified_provider.issuer())
    person = Person(lambda: certified_provider.deny(complete(waiting), "alice"))
    with pytest.raises(IdentityRefused, match="refused at the issuer certified"):
        await flow.poll(waiting, sleep=person.sleep)


async def test_a_code_expires_by_the_providers_clock(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient
) -> None:
    flow = DeviceFlow(client)
    waiting = await flow.begin(certified_provider.issuer())
    person = Person(lambda: certified_provider.expire(waiting.user_code))
    with pytest.raises(TryLater, match="not used at the issuer certified in time"):
        await flow.poll(waiting, sleep=person.sleep)
    assert len(person.paused) == 2


async def test_a_code_gives_one_token(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient
) -> None:
    flow = DeviceFlow(client)
    waiting = await flow.begin(certified_provider.issuer())
    await certified_provider.approve(complete(waiting), "alice")
    assert await flow.poll(waiting, sleep=Person().sleep)
    with pytest.raises(TryLater, match="run the login again"):
        await flow.poll(waiting, sleep=Person().sleep)


async def test_an_unknown_client_is_a_sentence_for_the_operator(
    certified_provider: CertifiedProvider, client: httpx.AsyncClient
) -> None:
    stranger = replace(certified_provider.issuer(), client_id="stranger")
    with pytest.raises(IdentityRefused, match=r"its client stranger .*\(invalid_client\)"):
        await DeviceFlow(client).begin(stranger)
