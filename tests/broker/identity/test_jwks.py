from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from broker.errors import IdentityRefused, TryLater
from broker.identity import jwks
from broker.identity.jwks import SIZE_LIMIT, KeySource, new_client
from tests.broker.identity.samples import NOW, URL, issuer, jwk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CORP = issuer()
DISCOVERY = f"{URL}/.well-known/openid-configuration"
KEYS = f"{URL}/keys"


class Body(httpx.AsyncByteStream):
    """An answer's body that is read as it comes, as from a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 65536):
            yield self._content[start : start + 65536]


class Provider:
    """An issuer's two documents, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.about: Any = {"issuer": URL, "jwks_uri": KEYS}
        self.keys: Any = {"keys": [jwk("ES256", "k1")]}
        self.error: Exception | None = None
        self.status = 200
        self.headers: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if self.error is not None:
            raise self.error
        body = self.about if str(request.url) == DISCOVERY else self.keys
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(self.status, stream=Body(content), headers=self.headers)


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.now - 1000.0)


@asynccontextmanager
async def source(provider: Provider, time: Time) -> AsyncIterator[KeySource]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(provider)) as client:
        yield KeySource(client, monotonic=time, clock=time.clock)


async def test_keys_are_kept_for_ten_minutes() -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        assert list(await keys.keys_for(CORP, "k1")) == ["k1"]
        time.now += 599
        await keys.keys_for(CORP, "k1")
        await keys.keys_for(CORP, None)
        assert provider.asked == [DISCOVERY, KEYS]
        time.now += 1
        await keys.keys_for(CORP, "k1")
        assert len(provider.asked) == 4


async def test_a_key_that_was_taken_back_stops_working_within_ten_minutes() -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        await keys.keys_for(CORP, "k1")
        provider.keys = {"keys": [jwk("ES256", "k2")]}
        time.now += 600
        with pytest.raises(IdentityRefused, match="has no key with the id"):
            await keys.keys_for(CORP, "k1")


async def test_a_key_that_was_taken_back_stops_working_even_when_the_issuer_is_down() -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        await keys.keys_for(CORP, "k1")
        provider.error = httpx.ConnectError("no")
        time.now += 3599
        await keys.keys_for(CORP, "k1")
        time.now += 1
        said = "cannot reach the issuer corp .*; no token of its can be checked until it answers"
        with pytest.raises(TryLater, match=said):
            await keys.keys_for(CORP, "k1")
        with pytest.raises(TryLater, match="cannot reach"):
            await keys.keys_for(issuer(keys_life=timedelta(minutes=10)), None)


async def test_old_keys_work_on_while_the_issuer_is_down_and_it_says_until_when(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        await keys.keys_for(CORP, "k1")
        provider.error = httpx.ConnectError("no")
        time.now += 900
        for _ in range(5):
            assert list(await keys.keys_for(CORP, "k1")) == ["k1"]
        assert len(provider.asked) == 3, "asked again once, and not by every login"
        assert len(caplog.messages) == 1
        assert caplog.messages[0].endswith("known already are good until 2026-03-01 13:00:00Z")
        time.now += 30
        provider.error = None
        provider.keys = {"keys": [jwk("ES256", "k2")]}
        assert list(await keys.keys_for(CORP, "k2")) == ["k2"]


async def test_an_issuer_that_hangs_does_not_hold_up_every_login() -> None:
    time = Time()

    class Hanging(Provider):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            time.now += 5
            raise httpx.ConnectTimeout("slow")

    async with source(Hanging(), time) as keys:
        for _ in range(3):
            with pytest.raises(TryLater, match="no answer within"):
                await keys.keys_for(CORP, "k1")
    assert time.now == 1005, "only the first one waited"


async def test_an_unknown_key_is_looked_for_at_most_once_in_30_s() -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        await keys.keys_for(CORP, "k1")
        for _ in range(50):
            with pytest.raises(IdentityRefused, match="has no key with the id"):
                await keys.keys_for(CORP, "stranger")
        assert len(provider.asked) == 4, "each time asks for discovery and keys"
        time.now += 30
        provider.keys = {"keys": [jwk("ES256", "k2")]}
        assert list(await keys.keys_for(CORP, "k2")) == ["k2"]
        with pytest.raises(IdentityRefused):
            await keys.keys_for(CORP, "k1")


async def test_a_key_rotated_just_after_a_fetch_is_found_at_once() -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        await keys.keys_for(CORP, "k1")
        provider.keys = {"keys": [jwk("ES256", "k2")]}
        assert list(await keys.keys_for(CORP, "k2")) == ["k2"]


async def test_a_failing_issuer_is_not_asked_by_every_login() -> None:
    provider, time = Provider(), Time()
    provider.error = httpx.ConnectTimeout("slow")
    async with source(provider, time) as keys:
        for _ in range(5):
            with pytest.raises(TryLater, match=r"cannot reach the issuer corp \(no answer within"):
                await keys.keys_for(CORP, "k1")
        assert len(provider.asked) == 1
        provider.error = None
        time.now += 5
        assert await keys.keys_for(CORP, "k1")


async def test_known_keys_work_on_while_the_issuer_is_down() -> None:
    provider, time = Provider(), Time()
    async with source(provider, time) as keys:
        await keys.keys_for(CORP, "k1")
        time.now += 60
        provider.error = httpx.ConnectError("no")
        with pytest.raises(
            TryLater, match="its keys known already are good until 2026-03-01 13:00:00Z"
        ):
            await keys.keys_for(CORP, "k2")
        assert await keys.keys_for(CORP, "k1")


async def test_an_issuer_that_hangs_does_not_hold_up_another() -> None:
    provider, asked, released = Provider(), asyncio.Event(), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "other.example":
            asked.set()
            await released.wait()
            raise httpx.ConnectError("no")
        return provider(request)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        asyncio.TaskGroup() as tasks,
    ):
        keys = KeySource(client)

        async def hang() -> None:
            with pytest.raises(TryLater, match="cannot reach the issuer other"):
                await keys.keys_for(issuer(name="other", issuer="https://other.example"), "k1")

        tasks.create_task(hang())
        async with asyncio.timeout(5):
            await asked.wait()
            assert list(await keys.keys_for(CORP, "k1")) == ["k1"]
        released.set()


async def test_logins_that_come_together_ask_once() -> None:
    provider = Provider()
    async with source(provider, Time()) as keys, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(keys.keys_for(CORP, "k1"))
    assert provider.asked == [DISCOVERY, KEYS]


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("about", {"issuer": "https://evil.example", "jwks_uri": KEYS}, "names another issuer"),
        ("about", {"issuer": f"{URL}/", "jwks_uri": KEYS}, "names another issuer"),
        ("about", {"issuer": URL}, "no acceptable jwks_uri"),
        ("about", {"issuer": URL, "jwks_uri": "http://id.example.com/keys"}, "no acceptable"),
        ("about", {"issuer": URL, "jwks_uri": "file:///etc/passwd"}, "no acceptable jwks_uri"),
        ("about", {"issuer": URL, "jwks_uri": "http://127.0.0.1/keys"}, "is not https"),
        ("about", [], "not a JSON object"),
        ("about", b"<html>", "not a JSON object"),
        ("about", b"[" * 100_000, "not a JSON object"),
        ("about", b" " * (SIZE_LIMIT + 1), "more than 1048576 bytes"),
        ("keys", {"keys": {}}, "not a list of at most"),
        ("keys", {"keys": [{}] * 101}, "not a list of at most"),
        ("status", 302, "HTTP status 302"),
        ("status", 500, "HTTP status 500"),
    ],
)
async def test_a_bad_answer_is_no_answer(attribute: str, value: object, said: str) -> None:
    provider = Provider()
    setattr(provider, attribute, value)
    provider.headers = {"location": "https://evil.example"} if value == 302 else {}
    async with source(provider, Time()) as keys:
        with pytest.raises(TryLater, match=said):
            await keys.keys_for(CORP, "k1")
    assert not any("evil" in asked for asked in provider.asked)


async def test_packed_answers_are_not_unpacked() -> None:
    provider = Provider()
    provider.headers = {"content-encoding": "gzip"}
    provider.about = b"\x1f\x8b not unpacked"
    async with source(provider, Time()) as keys:
        with pytest.raises(TryLater, match="not a JSON object"):
            await keys.keys_for(CORP, "k1")


async def test_only_public_keys_are_kept() -> None:
    provider = Provider()
    first = jwk("ES256", "k1")
    provider.keys = {
        "keys": [first, jwk("RS256", "k1"), {"kty": "oct", "k": "x", "kid": "s"}, 7, {"kty": "RSA"}]
    }
    async with source(provider, Time()) as keys:
        assert await keys.keys_for(CORP, "k1") == {"k1": first, "(key 4)": {"kty": "RSA"}}
        with pytest.raises(IdentityRefused):
            await keys.keys_for(CORP, "s")


async def test_a_real_server_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT_S", 0.3)
    gone = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        await reader.read()  # until the client gives up
        writer.close()
        gone.set()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with new_client() as client:
            with pytest.raises(TryLater, match="no answer within"):
                await KeySource(client).keys_for(issuer(issuer=address), "k1")
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_real_server_on_this_machine_is_reached_past_any_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    answers: list[dict[str, Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(answers.pop(0)).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/realm/"
        answers += [{"issuer": address, "jwks_uri": address}, {"keys": [jwk("ES256", "k1")]}]
        async with new_client() as client:
            keys = await KeySource(client).keys_for(issuer(issuer=address), "k1")
    assert list(keys) == ["k1"]
