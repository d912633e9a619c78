"""A person without a token: what they are shown, how they give up, who else may wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.console.client import Terminal
from broker.errors import IdentityRefused, TryLater, UsageError
from broker.identity.device import Waiting
from broker.ssh import device_login
from broker.ssh.device_login import DeviceLogin, invitation
from tests.broker.console.fake_client import FakeClient
from tests.broker.identity.samples import URL, issuer

if TYPE_CHECKING:
    from broker.identity.device import Sleep
    from broker.identity.issuers import Issuer

CORP, PARTNER = issuer(), issuer(name="partner")
CI = issuer(name="ci", client_id=None)
FINGERPRINT = "SHA256:" + "x" * 43
SCREEN = Terminal("xterm", 80, 24)

WAITING = Waiting(
    issuer=CORP,
    user_code="WDJB-MJHT",
    verification_uri=f"{URL}/device",
    verification_uri_complete=f"{URL}/device?user_code=WDJB-MJHT",
    expires_in=600,
    interval=5,
    until=600,
    token_endpoint=f"{URL}/token",
    device_code="nobody may see this",
)


class FakeFlow:
    """Pauses until the test says that the person has used the code."""

    def __init__(self, pause: float = 0.01) -> None:
        self.begun: list[str] = []
        self.polling = asyncio.Event()
        self.approved = asyncio.Event()
        self.pause = pause
        self.refusal: Exception | None = None

    async def begin(self, issuer: Issuer) -> Waiting:
        self.begun.append(issuer.name)
        return replace(WAITING, issuer=issuer)

    async def poll(self, waiting: Waiting, *, sleep: Sleep) -> str:
        self.polling.set()
        while not self.approved.is_set():
            await sleep(self.pause)
        if self.refusal is not None:
            raise self.refusal
        return f"token of {waiting.issuer.name}"


async def token(
    flow: FakeFlow, client: FakeClient, *issuers: Issuer, wanted: str = "", source: str = "::1"
) -> str:
    login = DeviceLogin(flow, lambda: issuers or (CI, CORP))
    return await login.token(client, wanted=wanted, source=source, fingerprint=FINGERPRINT)


# -- what a person sees ------------------------------------------------------------------------


async def test_the_code_is_narrated_and_nothing_goes_where_the_certificate_will() -> None:
    flow, client = FakeFlow(), FakeClient()
    client.end()
    flow.approved.set()
    assert await token(flow, client) == "token of corp"
    assert client.output == b""
    lines = client.errors.decode().split("\n")
    assert lines[0].startswith("interlock: ")
    assert {f"    {URL}/device", f"    {URL}/device?user_code=WDJB-MJHT"} < set(lines)
    assert "and enter the code  WDJB-MJHT" in lines
    assert f"The certificate is for {FINGERPRINT}." in lines
    assert b"nobody may see this" not in client.errors


def test_it_fits_a_narrow_screen() -> None:
    told = invitation(replace(WAITING, user_code="x" * 60), FINGERPRINT)
    assert max(map(len, told.split("\n"))) <= 80


def test_an_issuer_without_a_complete_address_is_fine() -> None:
    told = invitation(replace(WAITING, verification_uri_complete=None), FINGERPRINT)
    assert "Or open" not in told
    assert told.count("https://") == 1


async def test_a_raw_terminal_gets_the_line_ends_it_needs() -> None:
    flow, client = FakeFlow(), FakeClient(terminal=SCREEN)
    flow.approved.set()
    await token(flow, client)
    told = client.errors + client.output  # which of the two is the channel's to choose
    assert told.count(b"\n") == told.count(b"\r\n") > 5


# -- giving up ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["\x03", "\x04", "abc\x03"])
async def test_ctrl_c_in_a_terminal_gives_up_at_once(key: str) -> None:
    flow, client = FakeFlow(pause=60), FakeClient(terminal=SCREEN)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome(flow, client))
        await flow.polling.wait()
        client.type("typing is fine\r")
        client.type(key)
    assert str(waiting.result()) == "the login was given up; run it again"


async def test_a_signal_gives_up() -> None:
    flow, client = FakeFlow(), FakeClient()
    client.end()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome(flow, client))
        await flow.polling.wait()
        assert client.signalled is not None
        client.signalled("INT")
    assert isinstance(waiting.result(), TryLater)


async def test_a_client_that_is_gone_waits_no_longer() -> None:
    flow, client = FakeFlow(pause=60), FakeClient()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome(flow, client))
        await flow.polling.wait()
        client.vanish()
    assert isinstance(waiting.result(), ConnectionError)


async def test_what_a_pipe_sends_is_no_key() -> None:
    flow, client = FakeFlow(), FakeClient()
    client.type(b"\x03\x04")
    client.end()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome(flow, client))
        await client.taken()
        flow.approved.set()
    assert waiting.result() == "token of corp"


async def outcome(flow: FakeFlow, client: FakeClient) -> str | Exception:
    try:
        return await token(flow, client)
    except (TryLater, ConnectionError) as error:
        return error


# -- where to log in ---------------------------------------------------------------------------


async def test_of_several_issuers_one_must_be_named() -> None:
    flow = FakeFlow()
    flow.approved.set()
    for wanted in ("", "ci", "nowhere", "corp; partner"):
        with pytest.raises(
            UsageError, match=r"one of: corp, partner\. .* ssh login@THIS-HOST corp"
        ):
            await token(flow, FakeClient(), CI, CORP, PARTNER, wanted=wanted)
    assert flow.begun == []
    assert await token(flow, FakeClient(), CI, CORP, PARTNER, wanted="partner")
    assert flow.begun == ["partner"]


async def test_without_such_an_issuer_a_token_is_asked_for() -> None:
    with pytest.raises(UsageError, match="send an ID token on standard input"):
        await token(FakeFlow(), FakeClient(), CI)


# -- how many may wait -------------------------------------------------------------------------


async def test_strangers_cannot_all_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_login, "AT_ONCE", 3)
    monkeypatch.setattr(device_login, "AT_ONCE_PER_SOURCE", 2)
    flow = FakeFlow()
    login = DeviceLogin(flow, lambda: (CORP,))

    async def come(source: str) -> str:
        return await login.token(FakeClient(), wanted="", source=source, fingerprint=FINGERPRINT)

    async with asyncio.TaskGroup() as tasks:
        for source in ("::1", "::1", "::2"):
            tasks.create_task(come(source))
            await begun(flow)
        for source in ("::1", "::3"):
            with pytest.raises(TryLater, match="too many logins are waiting"):
                await come(source)
        flow.approved.set()
    assert len(flow.begun) == 3
    assert await come("::1")


async def test_a_login_that_failed_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_login, "AT_ONCE", 1)
    flow = FakeFlow()
    flow.approved.set()
    flow.refusal = IdentityRefused("no")
    login = DeviceLogin(flow, lambda: (CORP,))
    for _ in range(3):
        with pytest.raises(IdentityRefused):
            await login.token(FakeClient(), wanted="", source="::1", fingerprint=FINGERPRINT)


async def begun(flow: FakeFlow) -> None:
    """Wait until the login that was just started waits."""
    async with asyncio.timeout(5):
        await flow.polling.wait()
    flow.polling.clear()
