from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from broker.errors import IdentityRefused, TryLater
from broker.identity.login import Login, UsedInMemory
from tests.broker.identity.samples import CORP, NOW, claims, issuer, jwk, token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.identity.issuers import Issuer
    from broker.identity.tokens import Jwk


class KnownKeys:
    def __init__(self, *, down: bool = False) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.down = down

    async def keys_for(self, issuer: Issuer, kid: str | None) -> Mapping[str, Jwk]:
        self.asked.append((issuer.name, kid))
        if self.down:
            msg = "cannot reach the issuer"
            raise TryLater(msg)
        return {"k1": jwk("ES256")}


class Time:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def login(
    *issuers: Issuer, keys: KnownKeys | None = None, used: UsedInMemory | None = None
) -> Login:
    return Login(issuers or (CORP,), keys or KnownKeys(), used or UsedInMemory(), Time())


async def test_a_token_becomes_an_identity_with_its_issuers_time() -> None:
    asked = issuer(ttl=timedelta(minutes=5))
    identity, ttl = await login(asked).exchange(token() + "\n", "SHA256:abc")
    assert str(identity) == "human:ann@example.com@corp"
    assert (identity.groups, identity.fingerprint) == (("dba",), "SHA256:abc")
    assert ttl == timedelta(minutes=5)


async def test_a_token_is_good_once() -> None:
    door = login()
    await door.exchange(token(claims(jti="a")))
    with pytest.raises(IdentityRefused, match="was used already"):
        await door.exchange(token(claims(jti="a")))
    await door.exchange(token(claims(jti="b")))


async def test_a_token_without_jti_is_good_once_too() -> None:
    door, one = login(), token()
    await door.exchange(one)
    with pytest.raises(IdentityRefused, match="was used already"):
        await door.exchange(one)


async def test_a_token_that_was_refused_for_another_reason_is_not_used_up() -> None:
    used, one = UsedInMemory(), token(claims(jti="a"))
    with pytest.raises(IdentityRefused, match="requires"):
        await login(issuer(require={"org": ("acme",)}), used=used).exchange(one)
    assert (await login(used=used).exchange(one))[0].name == "ann@example.com"


async def test_no_key_is_asked_for_when_the_issuer_is_not_ours() -> None:
    keys = KnownKeys()
    with pytest.raises(IdentityRefused, match="not configured"):
        await login(keys=keys).exchange(token(claims(iss="https://evil.example")))
    assert keys.asked == []


async def test_an_issuer_that_is_down_is_not_the_persons_fault() -> None:
    with pytest.raises(TryLater):
        await login(keys=KnownKeys(down=True)).exchange(token())


def test_memory_is_bounded_and_full_means_no() -> None:
    used = UsedInMemory(limit=2)
    end = NOW.timestamp() + 10
    assert used.use("a", end, NOW)
    assert not used.use("a", end, NOW)
    assert used.use("b", end, NOW)
    assert not used.use("c", end, NOW)
    later = NOW + timedelta(seconds=11)
    assert used.use("c", end + 20, later)
