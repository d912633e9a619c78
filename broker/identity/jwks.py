"""Fetches issuers' public keys without blocking the loop, and keeps them for ten minutes.

An issuer is asked again for a key id that we do not know, at most once in 30 s: a stranger's
token must not make us ask. Keys older than ten minutes are not used, even when the issuer is
down: a key that it took back must stop working.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from broker.errors import IdentityRefused, TryLater
from broker.identity.addresses import address_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.identity.issuers import Issuer
    from broker.identity.tokens import Jwk

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
    asked: float = -math.inf
    failure: str = ""


def new_client() -> httpx.AsyncClient:
    """A client as KeySource needs it: bounded in time, and never through a proxy to ourselves."""
    return httpx.AsyncClient(
        timeout=TIMEOUT_S, follow_redirects=False, mounts=dict.fromkeys(LOOPBACK)
    )


class KeySource:
    """Implements `login.Keys` over HTTP; `client` is the caller's to close."""

    def __init__(
        self, client: httpx.AsyncClient, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}

    async def keys_for(self, issuer: Issuer, kid: str | None) -> Mapping[str, Jwk]:
        """The issuer's keys by key id.

        Raises IdentityRefused when it has no key `kid`, TryLater when it cannot be asked.
        """
        kept = self._kept.setdefault(issuer.issuer, _Kept())
        async with kept.lock:
            if not self._suffices(kept, kid):
                self._check_may_ask(issuer, kept)
                await self._ask(issuer, kept)
            if kid is not None and kid not in kept.keys:
                raise IdentityRefused(_no_such_key(issuer))
            return kept.keys

    def _suffices(self, kept: _Kept, kid: str | None) -> bool:
        return self._is_fresh(kept) and (kid is None or kid in kept.keys)

    def _is_fresh(self, kept: _Kept) -> bool:
        return self._monotonic() - kept.fetched < FRESH_S

    def _check_may_ask(self, issuer: Issuer, kept: _Kept) -> None:
        since = self._monotonic() - kept.asked
        if kept.failure and since < FAILED_S:
            raise TryLater(kept.failure)
        if self._is_fresh(kept) and since < ASK_AGAIN_S:
            raise IdentityRefused(_no_such_key(issuer))

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
        kept.failure += self._kept_until(kept)
        raise TryLater(kept.failure)

    def _kept_until(self, kept: _Kept) -> str:
        left = kept.fetched + FRESH_S - self._monotonic()
        if left > 0:
            return f"; the keys known already are good for {int(left)} s more"
        return "; no token of its can be checked until it answers"

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


def _no_such_key(issuer: Issuer) -> str:
    return f"the issuer {issuer.name} has no key with the id that the token names"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:.0f} s"
    text = "".join(c if c.isprintable() else " " for c in str(error))
    return text[:200] or type(error).__name__
