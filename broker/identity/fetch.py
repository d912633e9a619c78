"""One bounded JSON answer over HTTP, or in a few words why there is none.

The words of `NoAnswer` go into sentences for people, so they hold nothing that was sent and
nothing of an answer's body: both may be secret.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 10.0
SIZE_LIMIT = 256 * 1024


class NoAnswer(Exception):
    """Nothing usable came back; the text says what happened instead."""


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A JSON object and the HTTP status that it came with; the object may hold tokens."""

    status: int
    body: Mapping[str, Any]


async def get(client: httpx.AsyncClient, address: str) -> Answer:
    """Ask for a document."""
    return await _ask(client, "GET", address, None)


async def post(client: httpx.AsyncClient, address: str, form: Mapping[str, str]) -> Answer:
    """Send a form."""
    return await _ask(client, "POST", address, form)


async def _ask(
    client: httpx.AsyncClient, method: str, address: str, form: Mapping[str, str] | None
) -> Answer:
    """Redirects are not followed, and packed bodies not unpacked: what counts is what was sent."""
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            client.stream(
                method, address, headers=headers, data=form, follow_redirects=False
            ) as answer,
        ):
            return Answer(answer.status_code, _json_object(await _bounded(answer), answer))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NoAnswer(_reason(error)) from None


async def _bounded(answer: httpx.Response) -> bytes:
    body = b""
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > SIZE_LIMIT:
            msg = f"it answered with more than {SIZE_LIMIT} bytes"
            raise NoAnswer(msg)
    return body


def _json_object(body: bytes, answer: httpx.Response) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        msg = f"it answered with HTTP status {answer.status_code} and not with a JSON object"
        raise NoAnswer(msg)
    return value


def _reason(error: Exception) -> str:
    """Only failures to connect are told in the library's words: the others may quote an answer."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, httpx.ConnectError):
        text = "".join(c if c.isprintable() else " " for c in str(error))
        return text[:200] or "no connection"
    return f"the connection failed ({type(error).__name__})"
