"""Fetches issuers' public keys without blocking the loop, and keeps them for a while.

Keys are fetched anew after ten minutes. When the issuer is down then, the old ones go on to count
until they are as old as its `keys_life`: a key that it took back must stop working in the end. For
a key id that we do not know the issuer is asked at most once in 30 s: a stranger's token must not
make us ask.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from broker.errors import IdentityRefused, TryLater
from broker.identity.addresses import address_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.identity.issuers import Issuer
    from broker.identity.tokens import Jwk

log = logging.getLogger("interlock.identity")

DISCOVERY = "/.well-known/openid-configuration"
FRESH_S = 600.0
ASK_AGAIN_S = 30.0
FAILED_S = 5.0  # an issuer that just failed is not asked again so soon
TIMEOUT_S = 5.0
SIZE_LIMIT = 1024 * 1024
KEYS_LIMIT = 100
KEY_TYPES = ("RSA", "EC", "OKP")  # never `oct`: a shared secret proves nothing
LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class _BadAnswer(Exception):
    """The issuer answered, but not with what the standard says; the text says what is wrong."""


@dataclass(slots=True)
class _Kept:
    """What is known of one issuer; the lock makes logins that come together ask once."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    keys: Mapping[str, Jwk] = field(default_factory=dict)
    fetched: float = -math.inf
    asked: float = -math.inf  # answered or not; when it failed, the time when that was known
    sought: float = -math.inf  # asked for the sake of a key that fresh keys did not have
    failure: str = ""


def new_client() -> httpx.AsyncClient:
    """A client as KeySource needs it: bounded in time, and never through a proxy to ourselves."""
    return httpx.AsyncClient(
        timeout=TIMEOUT_S, follow_redirects=False, mounts=dict.fromkeys(LOOPBACK)
    )


class KeySource:
    """Implements `login.Keys` over HTTP; `client` is the caller's to close."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def keys_for(self, issuer: Issuer, kid: str | None) -> Mapping[str, Jwk]:
        """The issuer's keys by key id.

        Raises IdentityRefused when it has no key `kid`, TryLater when it cannot be asked.
        """
        kept = self._kept.setdefault(issuer.issuer, _Kept())
        async with kept.lock:
            if self._age(kept) >= FRESH_S or not _knows(kept, kid):
                await self._refresh(issuer, kept, kid)
            if not _knows(kept, kid):
                raise IdentityRefused(_no_such_key(issuer))
            return kept.keys

    async def _refresh(self, issuer: Issuer, kept: _Kept, kid: str | None) -> None:
        """Ask, unless we did so just now; a failure does not matter while old keys will do."""
        left = issuer.keys_life.total_seconds() - self._age(kept)
        since = self._monotonic() - kept.asked
        if not kept.failure and self._age(kept) < FRESH_S:
            # Keys just fetched may have been rotated since; garbage must not make us ask often.
            if self._monotonic() - kept.sought < ASK_AGAIN_S:
                raise IdentityRefused(_no_such_key(issuer))
            kept.sought = self._monotonic()
        asking = not kept.failure or since >= (ASK_AGAIN_S if left > 0 else FAILED_S)
        if asking:
            await self._ask(issuer, kept)
        if not kept.failure:
            return
        if left <= 0:
            msg = f"{kept.failure}; no token of its can be checked until it answers"
            raise TryLater(msg)
        until = self._clock() + timedelta(seconds=left)
        told = f"{kept.failure}; its keys known already are good until {until:%Y-%m-%d %H:%M:%SZ}"
        if asking:
            log.warning("%s", told)
        if not _knows(kept, kid):
            raise TryLater(told)

    def _age(self, kept: _Kept) -> float:
        return self._monotonic() - kept.fetched

    async def _ask(self, issuer: Issuer, kept: _Kept) -> None:
        kept.asked = self._monotonic()
        try:
            kept.keys = await self._fetch(issuer)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            kept.failure = f"cannot reach the issuer {issuer.name} ({_reason(error)})"
        except _BadAnswer as error:
            kept.failure = f"the issuer {issuer.name} gave no usable keys: {error}"
        else:
            kept.failure = ""
            kept.fetched = self._monotonic()
            return
        kept.asked = self._monotonic()

    async def _fetch(self, issuer: Issuer) -> Mapping[str, Jwk]:
        about = await self._get(issuer.issuer.removesuffix("/") + DISCOVERY)
        if about.get("issuer") != issuer.issuer:
            msg = "its discovery document names another issuer"
            raise _BadAnswer(msg)
        address = about.get("jwks_uri")
        if not isinstance(address, str) or address_problem(address, query=True):
            msg = "its discovery document has no acceptable jwks_uri"
            raise _BadAnswer(msg)
        if issuer.issuer.startswith("https:") and not address.startswith("https:"):
            msg = "its jwks_uri is not https"
            raise _BadAnswer(msg)
        return _public_keys(await self._get(address))

    async def _get(self, address: str) -> dict[str, Any]:
        """One JSON object; unpacked by nobody, so that its size is what was sent."""
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        body = b""
        async with (
            asyncio.timeout(TIMEOUT_S),
            self._client.stream("GET", address, headers=headers, follow_redirects=False) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                msg = f"HTTP status {answer.status_code}"
                raise _BadAnswer(msg)
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > SIZE_LIMIT:
                    msg = f"more than {SIZE_LIMIT} bytes"
                    raise _BadAnswer(msg)
        return _json_object(body)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        msg = "the answer is not a JSON object"
        raise _BadAnswer(msg)
    return value


def _public_keys(document: dict[str, Any]) -> Mapping[str, Jwk]:
    """The keys that can verify something, by key id; of two with one id, the first."""
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_LIMIT:
        msg = f"its key set is not a list of at most {KEYS_LIMIT} keys"
        raise _BadAnswer(msg)
    keys: dict[str, Jwk] = {}
    for number, jwk in enumerate(listed):
        if isinstance(jwk, dict) and jwk.get("kty") in KEY_TYPES:
            kid = jwk.get("kid")
            keys.setdefault(kid if isinstance(kid, str) else f"(key {number})", jwk)
    return keys


def _knows(kept: _Kept, kid: str | None) -> bool:
    return bool(kept.keys) if kid is None else kid in kept.keys


def _no_such_key(issuer: Issuer) -> str:
    return f"the issuer {issuer.name} has no key with the id that the token names"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:.0f} s"
    text = "".join(c if c.isprintable() else " " for c in str(error))
    return text[:200] or type(error).__name__
