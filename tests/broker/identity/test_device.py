"""The device flow against a scripted issuer and a clock of the test's own."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import IdentityRefused, InterlockError, TryLater
from broker.identity import fetch
from broker.identity.device import GRANT, SCOPE, DeviceFlow
from broker.identity.jwks import new_client
from tests.broker.identity.samples import URL, claims, issuer, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.identity.device import Waiting

CORP = issuer()
DISCOVERY, BEGIN, TOKEN = f"{URL}/.well-known/openid-configuration", f"{URL}/begin", f"{URL}/token"
SECRET = "device-code-that-nobody-may-see"

ABOUT = {"issuer": URL, "device_authorization_endpoint": BEGIN, "token_endpoint": TOKEN}
BEGUN = {
    "device_code": SECRET,
    "user_code": "WDJB-MJHT",
    "verification_uri": f"{URL}/device",
    "verification_uri_complete": f"{URL}/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 5,
}
PENDING: tuple[int, object] = (400, {"error": "authorization_pending"})
SLOWER: tuple[int, object] = (400, {"error": "slow_down"})
ID_TOKEN = token()
GRANTED: tuple[int, object] = (200, {"id_token": ID_TOKEN, "access_token": SECRET})


@dataclass
class Scripted:
    """An issuer that gives these answers; a poll's are used up, the last one stays."""

    about: Any = field(default_factory=lambda: dict(ABOUT))
    begun: tuple[int, Any] = (200, BEGUN)
    polls: list[Any] = field(default_factory=lambda: [GRANTED])
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        address = str(request.url)
        self.asked.append(address)
        if address == DISCOVERY:
            return _response((200, self.about))
        self.forms.append(parse_qs(request.content.decode()))
        if address == BEGIN:
            return _response(self.begun)
        return _response(self.polls.pop(0) if len(self.polls) > 1 else self.polls[0])


def _response(scripted: Any) -> httpx.Response:
    if isinstance(scripted, Exception):
        raise scripted
    status, body = scripted
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, stream=Body(content))


class Body(httpx.AsyncByteStream):
    """An answer's body that is read as it comes, as from a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 65536):
            yield self._content[start : start + 65536]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@asynccontextmanager
async def flow(scripted: Scripted, time: Time) -> AsyncIterator[DeviceFlow]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(scripted)) as client:
        yield DeviceFlow(client, monotonic=time)


async def begin(scripted: Scripted) -> Waiting:
    async with flow(scripted, Time()) as device:
        return await device.begin(CORP)


async def logged_in(scripted: Scripted, time: Time) -> str:
    async with flow(scripted, time) as device:
        return await device.poll(await device.begin(CORP), sleep=time.sleep)


# -- the way it should go ----------------------------------------------------------------------


async def test_a_login_asks_what_the_standard_says() -> None:
    scripted, time = Scripted(polls=[PENDING, PENDING, GRANTED]), Time()
    assert await logged_in(scripted, time) == ID_TOKEN
    assert scripted.asked == [DISCOVERY, BEGIN, TOKEN, TOKEN, TOKEN]
    assert scripted.forms[0] == {"client_id": ["cli"], "scope": [SCOPE]}
    polled = {"grant_type": [GRANT], "device_code": [SECRET], "client_id": ["cli"]}
    assert scripted.forms[1:] == [polled] * 3
    assert time.slept == [5, 5, 5]


async def test_what_is_shown_is_what_the_issuer_said() -> None:
    waiting = await begin(Scripted())
    assert waiting.user_code == "WDJB-MJHT"
    assert waiting.verification_uri == f"{URL}/device"
    assert waiting.verification_uri_complete == f"{URL}/device?user_code=WDJB-MJHT"
    assert (waiting.expires_in, waiting.interval, waiting.until) == (600, 5, 1600)
    assert SECRET not in repr(waiting)


async def test_slow_down_adds_five_seconds_for_good() -> None:
    time = Time()
    await logged_in(Scripted(polls=[SLOWER, PENDING, SLOWER, (429, SLOWER[1]), GRANTED]), time)
    assert time.slept == [5, 10, 10, 15, 20]


@pytest.mark.parametrize(
    ("interval", "first"), [(None, 5), (0, 1), (2.5, 2.5), (10**400, 60), ("5", 5), (True, 5)]
)
async def test_the_issuers_interval_is_kept_within_reason(interval: object, first: float) -> None:
    time = Time()
    begun = {**BEGUN, "interval": interval}
    await logged_in(Scripted(begun=(200, begun)), time)
    assert time.slept == [first]


async def test_discovery_is_kept_for_ten_minutes_and_asked_once_by_many() -> None:
    scripted, time = Scripted(), Time()
    async with flow(scripted, time) as device:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(device.begin(CORP))
        assert scripted.asked.count(DISCOVERY) == 1
        time.now += 600
        await device.begin(CORP)
        assert scripted.asked.count(DISCOVERY) == 2


# -- how it may end ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("access_denied", IdentityRefused, "the login was refused at the issuer corp"),
        ("expired_token", TryLater, "not used at the issuer corp in time; run the login again"),
        ("invalid_grant", TryLater, "not used at the issuer corp in time"),
        ("invalid_client", IdentityRefused, r"its client cli .* \(invalid_client\)"),
        ("unsupported_grant_type", IdentityRefused, r"\(unsupported_grant_type\)"),
        ("\x1b[2J" + SECRET, IdentityRefused, r"\(no reason given\)"),
        (SECRET, IdentityRefused, r"\(no reason given\)"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 200])
async def test_an_end_is_a_sentence(
    error: str, kind: type[InterlockError], said: str, status: int
) -> None:
    answer = (status, {"error": error, "error_description": SECRET})
    with pytest.raises(kind, match=said) as caught:
        await logged_in(Scripted(polls=[PENDING, answer]), Time())
    assert SECRET not in str(caught.value)


async def test_nobody_waits_longer_than_the_code_is_good() -> None:
    time, scripted = Time(), Scripted(polls=[PENDING], begun=(200, {**BEGUN, "expires_in": 12}))
    with pytest.raises(TryLater, match="in time"):
        await logged_in(scripted, time)
    assert time.slept == [5, 5, 2]
    assert scripted.asked.count(TOKEN) == 2


async def test_a_code_that_is_good_for_ever_is_not_waited_for_so_long() -> None:
    waiting = await begin(Scripted(begun=(200, {**BEGUN, "expires_in": 10**12})))
    assert waiting.expires_in == 1800


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError(SECRET),
        (502, b"<html>"),
        (503, {"error": "whatever"}),
        (500, {"error": "server_error"}),
        (400, {"error": "temporarily_unavailable"}),
        (400, {}),
        (400, {"error": 7}),
        (302, b""),
        (200, b"[" * 100_000),
        (200, b" " * (fetch.SIZE_LIMIT + 1)),
    ],
    ids=lambda failure: str(failure)[:40],
)
async def test_a_failure_is_asked_again_more_slowly_and_not_for_ever(failure: Any) -> None:
    time = Time()
    assert await logged_in(Scripted(polls=[failure, failure, PENDING, GRANTED]), time) == ID_TOKEN
    assert time.slept == [5, 10, 20, 20]
    time = Time()
    with pytest.raises(TryLater, match="cannot log in at the issuer corp: ") as caught:
        await logged_in(Scripted(polls=[failure]), time)
    assert time.slept == [5, 10, 20, 40, 60]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"access_token": SECRET}, "gave no ID token"),
        ({"id_token": 7}, "gave no ID token"),
        ({"id_token": token(claims(iss="https://evil.example"))}, "a token of another issuer"),
        ({"id_token": "x" * 20_000}, "longer than"),
        ({"id_token": SECRET}, "not an ID token"),
    ],
)
async def test_only_an_id_token_of_this_issuer_will_do(
    said: dict[str, object], sentence: str
) -> None:
    with pytest.raises(IdentityRefused, match=sentence) as caught:
        await logged_in(Scripted(polls=[(200, said)]), Time())
    assert SECRET not in str(caught.value)


async def test_what_sleeping_raises_ends_the_wait() -> None:
    async def interrupted(_: float) -> None:
        msg = "given up"
        raise TryLater(msg)

    scripted = Scripted(polls=[PENDING])
    async with flow(scripted, Time()) as device:
        with pytest.raises(TryLater, match="given up"):
            await device.poll(await device.begin(CORP), sleep=interrupted)
    assert TOKEN not in scripted.asked


# -- beginning ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://evil.example"}, "names another issuer"),
        ({"device_authorization_endpoint": None}, "does it offer logins by device code"),
        ({"token_endpoint": None}, "has no token_endpoint"),
        ({"token_endpoint": "http://id.example.com/token"}, "no acceptable token_endpoint"),
        ({"token_endpoint": "http://127.0.0.1/token"}, "is not https"),
        ({"token_endpoint": 7}, "no acceptable"),
        ({"device_authorization_endpoint": "file:///etc/passwd"}, "no acceptable"),
    ],
)
async def test_a_bad_discovery_document_is_believed_by_nobody(
    changes: dict[str, object], said: str
) -> None:
    scripted = Scripted(about=ABOUT | changes)
    with pytest.raises(TryLater, match=f"cannot log in at the issuer corp: .*{said}"):
        await begin(scripted)
    assert scripted.asked == [DISCOVERY]


async def test_a_failing_issuer_is_not_asked_by_every_stranger() -> None:
    scripted, time = Scripted(about=b"<html>"), Time()
    async with flow(scripted, time) as device:
        for _ in range(5):
            with pytest.raises(TryLater, match="not with a JSON object"):
                await device.begin(CORP)
        assert scripted.asked == [DISCOVERY]
        scripted.about = ABOUT
        time.now += 5
        assert await device.begin(CORP)


async def test_an_issuer_without_client_id_is_not_asked_at_all() -> None:
    scripted = Scripted()
    async with flow(scripted, Time()) as device:
        with pytest.raises(IdentityRefused, match="has no client_id here"):
            await device.begin(issuer(client_id=None))
    assert scripted.asked == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device_code", None),
        ("device_code", ""),
        ("device_code", "x" * 5000),
        ("user_code", None),
        ("user_code", ""),
        ("user_code", "AB\x1b[2J"),
        ("user_code", "AB\nCD"),
        ("user_code", "x" * 65),
        ("user_code", "ÄÖ"),
        ("verification_uri", None),
        ("verification_uri", "http://id.example.com/device"),
        ("verification_uri", "javascript:alert(1)"),
        ("verification_uri", "https://id.example.com/\x1b]0;x\x07"),
        ("verification_uri", "https://id.example.com/\u202egnp.exe"),
        ("verification_uri", "https://corp@evil.example/"),
        ("verification_uri", "https://id.example.com/" + "x" * 2000),
        ("expires_in", None),
        ("expires_in", "600"),
        ("expires_in", -1),
        ("expires_in", float("nan")),
    ],
)
async def test_nothing_odd_reaches_the_persons_terminal(name: str, value: object) -> None:
    with pytest.raises(TryLater, match=f"without an acceptable {name}"):
        await begin(Scripted(begun=(200, {**BEGUN, name: value})))


async def test_an_odd_complete_address_is_left_out() -> None:
    begun = {**BEGUN, "verification_uri_complete": "https://id.example.com/\x1b[2J"}
    assert (await begin(Scripted(begun=(200, begun)))).verification_uri_complete is None


async def test_a_fragment_in_a_complete_address_is_fine() -> None:
    address = f"{URL}/#/device?user_code=WDJB-MJHT"
    begun = {**BEGUN, "verification_uri_complete": address}
    assert (await begin(Scripted(begun=(200, begun)))).verification_uri_complete == address


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((400, {"error": "unauthorized_client"}), IdentityRefused, r"\(unauthorized_client\)"),
        ((404, {}), IdentityRefused, r"\(HTTP status 404\)"),
        ((200, {"error": "invalid_scope"}), IdentityRefused, r"\(invalid_scope\)"),
        ((429, {}), TryLater, "try again in a minute"),
        ((400, {"error": "slow_down"}), TryLater, "try again in a minute"),
        ((503, b"<html>"), TryLater, "HTTP status 503"),
    ],
)
async def test_a_login_that_cannot_begin_says_why(
    answer: tuple[int, object], kind: type[InterlockError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        await begin(Scripted(begun=answer))


# -- whatever comes ----------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.dictionaries(st.sampled_from(sorted(BEGUN)), VALUES),
    polls=st.lists(
        st.tuples(
            st.sampled_from([200, 302, 400, 401, 429, 500]),
            st.dictionaries(st.sampled_from(["error", "id_token"]), VALUES)
            | st.just({"error": "slow_down"})
            | st.binary(max_size=20),
        ),
        min_size=1,
        max_size=6,
    ),
)
async def test_whatever_an_issuer_answers_the_wait_ends_in_a_sentence(
    changes: dict[str, object], polls: list[tuple[int, object]]
) -> None:
    time = Time()
    scripted = Scripted(begun=(200, BEGUN | changes), polls=[*polls, PENDING])
    with pytest.raises((IdentityRefused, TryLater)) as caught:
        await logged_in(scripted, time)
    assert str(caught.value).isprintable()
    assert SECRET not in str(caught.value)
    assert time.now <= 1000 + 1800


# -- a real socket -----------------------------------------------------------------------------


async def test_a_real_server_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.3)
    gone = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        await reader.read()  # until the client gives up
        writer.close()
        gone.set()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server, new_client() as http:
        here = issuer(issuer=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(TryLater, match="no answer within"):
            await DeviceFlow(http).begin(here)
        await asyncio.wait_for(gone.wait(), 5)
