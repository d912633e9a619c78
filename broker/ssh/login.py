"""`ssh login@broker < id-token > KEY-cert.pub`: a token in, a certificate for that key out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker import events
from broker.errors import Denied, IdentityRefused, TryLater, UsageError
from broker.ssh.serve import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    import asyncssh

    from broker.model import Identity
    from broker.ports import Audit
    from broker.ssh.channel import Channel, Request
    from broker.ssh.device_login import DeviceLogin
    from broker.ssh.visitor import Visitor

TOKEN_LIMIT = 16 * 1024  # bytes; the largest ID tokens in the field are under 8 KB

TOKEN_WAIT_S = 120.0  # for somebody who pastes it; a step of CI that sends none must not hang

HOW = "send an ID token on standard input: ssh login@THIS-HOST < id-token > KEYFILE-cert.pub"
EMPTY = "there was no ID token on standard input"


@dataclass(frozen=True, slots=True)
class Login:
    """Implements `serve.Route` for the user name `login`.

    `exchange` verifies a token; `sign` makes the certificate (one OpenSSH line) and names the
    identity with its serial.
    """

    exchange: Callable[[str], Awaitable[tuple[Identity, timedelta]]]
    sign: Callable[[asyncssh.SSHKey, Identity, timedelta, str], Awaitable[tuple[bytes, Identity]]]
    audit: Audit
    device: DeviceLogin
    token_wait: float = TOKEN_WAIT_S

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Prints the certificate alone on standard output; the narration goes to stderr."""
        if visitor.key is None:
            msg = "log in with the plain key, not with a certificate"
            raise Denied(msg)
        fingerprint = visitor.key.get_fingerprint()
        wanted = request.command or ""
        token = "" if wanted else await self._token(channel)
        try:
            if not token:
                token = await self.device.token(
                    channel, wanted=wanted, source=visitor.source, fingerprint=fingerprint
                )
            identity, ttl = await self.exchange(token)
            line, signed = await self.sign(visitor.key, identity, ttl, visitor.source)
        except (IdentityRefused, TryLater) as refused:
            self._note_refusal(refused, visitor.source, fingerprint)
            raise
        seconds = int(ttl.total_seconds())
        self.audit.append(
            events.login_granted(signed, source=visitor.source, ttl_s=seconds), durable=True
        )
        await channel.write(line.rstrip(b"\n") + b"\n")
        minutes = f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"
        await say(channel, f"interlock: you are {signed} for {minutes}, with key {fingerprint}")
        return 0

    def _note_refusal(
        self, refused: IdentityRefused | TryLater, source: str, fingerprint: str
    ) -> None:
        known = refused if isinstance(refused, IdentityRefused) else IdentityRefused()
        self.audit.append(
            events.login_refused(
                str(refused),
                source=source,
                fingerprint=fingerprint,
                issuer=known.issuer,
                subject=known.subject,
                claimed=known.claimed,
            ),
            durable=True,
        )

    async def _token(self, channel: Channel) -> str:
        """What was piped in; nothing when there is a keyboard, for a person to log in by.

        ssh asks for a terminal when its input is one. No terminal and nothing on standard input
        is a script whose token is missing: it is told so at once, and nobody is waited for.
        """
        if channel.terminal is not None:
            return ""
        try:
            async with asyncio.timeout(self.token_wait):
                token = await _whole(channel)
        except TimeoutError:
            msg = f"{EMPTY} after {self.token_wait:.0f} s; {self._how()}"
            raise UsageError(msg) from None
        if not token:
            msg = f"{EMPTY}; {self._how()}"
            raise UsageError(msg)
        return token

    def _how(self) -> str:
        names = self.device.offered()
        if not names:
            return HOW
        return f"{HOW} - or name the issuer to log in by browser: ssh login@THIS-HOST {names[0]}"


async def _whole(channel: Channel) -> str:
    data = b""
    while chunk := await channel.read():
        data += chunk
        if len(data) > TOKEN_LIMIT:
            msg = f"that is too long for an ID token ({TOKEN_LIMIT} bytes at most)"
            raise UsageError(msg)
    return data.decode("ascii", "replace").strip()
