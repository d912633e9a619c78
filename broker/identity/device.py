"""Logs a person in at an issuer with a short code in their browser (RFC 8628), as its client.

We are a public client: no secret. What comes out is an ID token, nothing verified about it yet;
other tokens that the issuer adds are dropped. No sentence holds a token or a device code.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

from broker.errors import IdentityRefused, TryLater
from broker.identity import fetch, tokens
from broker.identity.addresses import address_problem
from broker.identity.fetch import NoAnswer
from broker.identity.jwks import DISCOVERY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from broker.identity.fetch import Answer
    from broker.identity.issuers import Issuer

    Sleep = Callable[[float], Awaitable[None]]

SCOPE = "openid profile email"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
BEGIN, TOKEN = ENDPOINTS = ("device_authorization_endpoint", "token_endpoint")

FRESH_S = 600.0  # how long a discovery document is believed
FAILED_S = 5.0  # an issuer that just failed is not asked again so soon
INTERVAL_S = 5.0  # between two questions when the issuer does not say; and what slow_down adds
LONGEST_INTERVAL_S = 60.0
LONGEST_WAIT_S = 1800.0
FAILURES = 5  # questions in a row without an answer before we give up

USER_CODE = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
ERROR_NAME = re.compile(r"[a-z_]{1,60}")
DEVICE_CODE_LIMIT = 4096
ADDRESS_LIMIT = 2000

BUSY = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT)
PASSING = ("temporarily_unavailable", "server_error")
WAIT_ON = ("authorization_pending", "slow_down")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A login that waits for its person; `until` is on the clock of the flow that began it."""

    issuer: Issuer
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float
    interval: float
    until: float
    token_endpoint: str
    device_code: str = field(repr=False)


@dataclass(slots=True)
class _Known:
    """What is known of one issuer; the lock makes logins that come together ask once."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    fetched: float = -math.inf
    failed: float = -math.inf
    failure: str = ""


class DeviceFlow:
    """Begins logins by device code and waits for them; `client` is the caller's to close."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        scope: str = SCOPE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._scope = scope
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], _Known] = {}

    async def begin(self, issuer: Issuer) -> Waiting:
        """A code for a person. Raises IdentityRefused, or TryLater when the issuer is down."""
        if issuer.client_id is None:
            msg = f"the issuer {issuer.name} has no client_id here: it offers no login by code"
            raise IdentityRefused(msg)
        endpoints = await self._endpoints(issuer)
        asked = self._monotonic()
        form = {"client_id": issuer.client_id, "scope": self._scope}
        try:
            answer = await fetch.post(self._client, endpoints[BEGIN], form)
        except NoAnswer as error:
            raise TryLater(_unreachable(issuer, error)) from None
        if "error" in answer.body or answer.status != httpx.codes.OK:
            _begin_refused(issuer, answer)
        return _waiting(issuer, answer.body, asked, endpoints[TOKEN])

    async def poll(self, waiting: Waiting, *, sleep: Sleep = asyncio.sleep) -> str:
        """The ID token, once the person has used the code.

        Raises IdentityRefused when they or the issuer say no, TryLater when the code expires or
        the issuer stops answering. What `sleep` raises ends the wait: that is how to cancel it.
        """
        interval, failures = waiting.interval, 0
        while True:
            await self._pause(waiting, interval, sleep)
            try:
                answer = await self._ask(waiting)
            except NoAnswer as error:
                failures += 1
                if failures == FAILURES:
                    raise TryLater(_unreachable(waiting.issuer, error)) from None
                interval = max(interval, min(interval * 2, LONGEST_INTERVAL_S))
                continue
            failures = 0
            if "error" not in answer.body:
                return _id_token(waiting.issuer, answer.body)
            interval += _more_patience(waiting.issuer, answer.body)

    async def _pause(self, waiting: Waiting, interval: float, sleep: Sleep) -> None:
        left = waiting.until - self._monotonic()
        if left > 0:
            await sleep(min(interval, left))
        if self._monotonic() >= waiting.until:
            raise TryLater(_expired(waiting.issuer))

    async def _ask(self, waiting: Waiting) -> Answer:
        """One question. Whatever is no answer to it, such as a busy server's, is NoAnswer."""
        form = {
            "grant_type": GRANT,
            "device_code": waiting.device_code,
            "client_id": waiting.issuer.client_id or "",
        }
        answer = await fetch.post(self._client, waiting.token_endpoint, form)
        said = answer.body.get("error")
        is_odd = answer.status != httpx.codes.OK and not isinstance(said, str)
        if is_odd or said in PASSING or (_is_busy(answer) and said not in WAIT_ON):
            msg = f"it answered with HTTP status {answer.status}"
            raise NoAnswer(msg)
        return answer

    # -- discovery -----------------------------------------------------------------------------

    async def _endpoints(self, issuer: Issuer) -> Mapping[str, str]:
        known = self._known.setdefault((issuer.name, issuer.issuer), _Known())
        async with known.lock:
            now = self._monotonic()
            if now - known.fetched < FRESH_S:
                return known.endpoints
            if now - known.failed < FAILED_S:
                raise TryLater(known.failure)
            try:
                known.endpoints = await self._discover(issuer)
            except NoAnswer as error:
                known.failed, known.failure = self._monotonic(), _unreachable(issuer, error)
                raise TryLater(known.failure) from None
            known.fetched = now
            return known.endpoints

    async def _discover(self, issuer: Issuer) -> Mapping[str, str]:
        answer = await fetch.get(self._client, issuer.issuer.removesuffix("/") + DISCOVERY)
        if answer.status != httpx.codes.OK:
            msg = f"it answered with HTTP status {answer.status}"
            raise NoAnswer(msg)
        if answer.body.get("issuer") != issuer.issuer:
            msg = "its discovery document names another issuer"
            raise NoAnswer(msg)
        return {name: _endpoint(issuer, name, answer.body.get(name)) for name in ENDPOINTS}


# -- what the issuer says ----------------------------------------------------------------------


def _endpoint(issuer: Issuer, name: str, address: object) -> str:
    if address is None:
        msg = f"its discovery document has no {name}: does it offer logins by device code?"
    elif not isinstance(address, str) or address_problem(address, query=True):
        msg = f"its discovery document has no acceptable {name}"
    elif issuer.issuer.startswith("https:") and not address.startswith("https:"):
        msg = f"its {name} is not https"
    else:
        return address
    raise NoAnswer(msg)


def _waiting(issuer: Issuer, said: Mapping[str, Any], asked: float, token_endpoint: str) -> Waiting:
    device_code, user_code = said.get("device_code"), said.get("user_code")
    address, complete = said.get("verification_uri"), said.get("verification_uri_complete")
    expires = _seconds(said.get("expires_in"), LONGEST_WAIT_S)
    interval = _seconds(said.get("interval"), LONGEST_INTERVAL_S)
    if not isinstance(device_code, str) or not 0 < len(device_code) <= DEVICE_CODE_LIMIT:
        wrong = "device_code"
    elif not isinstance(user_code, str) or USER_CODE.fullmatch(user_code) is None:
        wrong = "user_code"
    elif not _may_be_shown(address):
        wrong = "verification_uri"
    elif expires is None:
        wrong = "expires_in"
    else:
        return Waiting(
            issuer=issuer,
            user_code=user_code,
            verification_uri=str(address),
            verification_uri_complete=str(complete) if _may_be_shown(complete) else None,
            expires_in=expires,
            interval=max(1.0, INTERVAL_S if interval is None else interval),
            until=asked + expires,
            token_endpoint=token_endpoint,
            device_code=device_code,
        )
    msg = f"the issuer {issuer.name} began a login without an acceptable {wrong}"
    raise TryLater(msg)


def _seconds(value: object, most: float) -> float | None:
    """A time from an answer, at most so long; None when it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(min(value, most))
    return None


def _may_be_shown(address: object) -> bool:
    """An address for a browser; it may end in a fragment, and nothing in it moves a cursor."""
    return (
        isinstance(address, str)
        and len(address) <= ADDRESS_LIMIT
        and address.isascii()
        and address.isprintable()
        and " " not in address
        and address_problem(address.partition("#")[0], query=True) is None
    )


def _is_busy(answer: Answer) -> bool:
    return answer.status in BUSY or httpx.codes.is_server_error(answer.status)


def _begin_refused(issuer: Issuer, answer: Answer) -> NoReturn:
    said = _error_name(answer.body)
    if _is_busy(answer) or said in (*PASSING, "slow_down"):
        msg = f"the issuer {issuer.name} cannot begin a login now; try again in a minute"
        raise TryLater(msg)
    raise IdentityRefused(_not_allowed(issuer, said or f"HTTP status {answer.status}"))


def _more_patience(issuer: Issuer, said: Mapping[str, Any]) -> float:
    """How much longer to wait between questions from now on, if there is reason to ask again."""
    match said["error"]:
        case "authorization_pending":
            return 0.0
        case "slow_down":
            return INTERVAL_S
        case "access_denied":
            msg = f"the login was refused at the issuer {issuer.name}"
            raise IdentityRefused(msg)
        case "expired_token" | "invalid_grant":  # some forget a code when it expires
            raise TryLater(_expired(issuer))
        case _:
            raise IdentityRefused(_not_allowed(issuer, _error_name(said) or "no reason given"))


def _id_token(issuer: Issuer, said: Mapping[str, Any]) -> str:
    """Not verified; but an issuer may hand us no other issuer's token."""
    token = said.get("id_token")
    if not isinstance(token, str):
        msg = f"the issuer {issuer.name} gave no ID token; its client needs the scope openid"
        raise IdentityRefused(msg)
    if tokens.peek(token).issuer != issuer.issuer:
        msg = f"the issuer {issuer.name} gave a token of another issuer"
        raise IdentityRefused(msg)
    return token


def _error_name(said: Mapping[str, Any]) -> str:
    """The standard's short word; never its description, which may quote what we sent."""
    name = said.get("error")
    return name if isinstance(name, str) and ERROR_NAME.fullmatch(name) else ""


def _not_allowed(issuer: Issuer, why: str) -> str:
    return (
        f"the issuer {issuer.name} does not let its client {issuer.client_id} log people in "
        f"by code ({why}); ask whoever runs this broker"
    )


def _expired(issuer: Issuer) -> str:
    return f"the code was not used at the issuer {issuer.name} in time; run the login again"


def _unreachable(issuer: Issuer, error: NoAnswer) -> str:
    return f"cannot log in at the issuer {issuer.name}: {error}"
