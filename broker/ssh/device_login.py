"""`ssh login@broker > KEY-cert.pub`: shows a person an address and a code, and waits for them.

Standard output stays empty, since it is the certificate's; all of this is narration.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from broker.errors import IdentityRefused, TryLater, UsageError
from broker.ssh.login import HOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from broker.console.client import Client
    from broker.identity.device import Sleep, Waiting
    from broker.identity.issuers import Issuer

AT_ONCE = 200  # logins that wait, in all: whoever comes to this door has proven nothing yet
AT_ONCE_PER_SOURCE = 10

INTERRUPTS = (b"\x03", b"\x04")  # Ctrl-C and Ctrl-D, as a terminal in raw mode sends them


class Flow(Protocol):
    """A login by code at an issuer; `identity.device.DeviceFlow` is the real one."""

    async def begin(self, issuer: Issuer) -> Waiting:
        """A code for a person."""

    async def poll(self, waiting: Waiting, *, sleep: Sleep) -> str:
        """The ID token, once they have used it; pauses with `sleep`, and ends when that raises."""


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """An ID token for whoever sends none; `issuers` are the ones that are configured now."""

    flow: Flow
    issuers: Callable[[], Sequence[Issuer]]
    _waiting: Counter[str] = field(default_factory=Counter)

    async def token(self, client: Client, *, wanted: str, source: str, fingerprint: str) -> str:
        """The token of a person who used the code; `wanted` names an issuer or is empty.

        Raises TryLater when they give up, and what the flow raises.
        """
        issuer = _chosen(wanted, self.issuers())
        listening = _Listening(client)
        with self._counted(source):
            try:
                waiting = await self.flow.begin(issuer)
                await _narrate(client, invitation(waiting, fingerprint))
                return await self.flow.poll(waiting, sleep=listening.pause)
            except IdentityRefused as refused:
                refused.issuer = issuer.name  # it is the one that said no
                raise

    def offered(self) -> list[str]:
        """The names of the issuers where a person can log in by browser."""
        return [issuer.name for issuer in self.issuers() if issuer.client_id is not None]

    @contextmanager
    def _counted(self, source: str) -> Iterator[None]:
        if self._waiting.total() >= AT_ONCE or self._waiting[source] >= AT_ONCE_PER_SOURCE:
            msg = "too many logins are waiting already; finish one or try again in a minute"
            raise TryLater(msg)
        self._waiting[source] += 1
        try:
            yield
        finally:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]


class _Listening:
    """Sleeps with an ear on the person, who may press Ctrl-C meanwhile."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ended = False
        self._signalled = asyncio.Event()
        client.on_signal(lambda _: self._signalled.set())

    async def pause(self, seconds: float) -> None:
        """Raises TryLater for an interrupt, ConnectionError when the client is gone."""
        try:
            async with asyncio.timeout(seconds):
                await self._interrupt()
        except TimeoutError:
            if not self._signalled.is_set():
                return
        msg = "the login was given up; run it again"
        raise TryLater(msg)

    async def _interrupt(self) -> None:
        """Returns when there was one. The end of the input is none: there may be no keyboard."""
        while not self._ended:
            data = await self._client.read()
            self._ended = not data
            if self._client.terminal is not None and any(key in data for key in INTERRUPTS):
                return
        await self._signalled.wait()


def invitation(waiting: Waiting, fingerprint: str) -> str:
    """What to do, in lines that fit 80 columns; addresses have lines of their own."""
    minutes = max(1, round(waiting.expires_in / 60))
    lines = [
        "interlock: to log in, open this address in a browser:",
        "",
        f"    {waiting.verification_uri}",
        "",
        f"and enter the code  {waiting.user_code}",
        "",
    ]
    if waiting.verification_uri_complete is not None:
        lines += [
            "Or open this one, which has the code in it:",
            "",
            f"    {waiting.verification_uri_complete}",
            "",
        ]
    lines += [
        f"The certificate is for {fingerprint}.",
        "Use no code that somebody else gave you: it would log them in as you.",
        f"Waiting for {minutes} min; Ctrl-C gives up.",
    ]
    return "\n".join(lines)


def _chosen(wanted: str, issuers: Sequence[Issuer]) -> Issuer:
    offered = [issuer for issuer in issuers if issuer.client_id is not None]
    if not offered:
        raise UsageError(HOW)
    if not wanted and len(offered) == 1:
        return offered[0]
    named = next((issuer for issuer in offered if issuer.name == wanted.strip()), None)
    if named is None:
        names = ", ".join(issuer.name for issuer in offered)
        msg = (
            f"say where to log in, one of: {names}. "
            f"For example: ssh login@THIS-HOST {offered[0].name} > KEYFILE-cert.pub"
        )
        raise UsageError(msg)
    return named


async def _narrate(client: Client, text: str) -> None:
    end = "\r\n" if client.terminal is not None else "\n"
    await client.write_error((end.join(text.split("\n")) + end).encode())
