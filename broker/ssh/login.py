"""`ssh login@broker < id-token > KEY-cert.pub`: a token in, a certificate for that key out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker import events
from broker.errors import Denied, IdentityRefused, UsageError
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

HOW = "send an ID token on standard input: ssh login@THIS-HOST < id-token > KEYFILE-cert.pub"


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

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Prints the certificate alone on standard output; the narration goes to stderr."""
        if visitor.key is None:
            msg = "log in with the plain key, not with a certificate"
            raise Denied(msg)
        fingerprint = visitor.key.get_fingerprint()
        wanted = request.command or ""
        token = "" if wanted else await _token(channel)
        try:
            if not token:
                token = await self.device.token(
                    channel, wanted=wanted, source=visitor.source, fingerprint=fingerprint
                )
            identity, ttl = await self.exchange(token)
            line, signed = await self.sign(visitor.key, identity, ttl, visitor.source)
        except IdentityRefused as refused:
            self.audit.append(
                events.login_refused(
                    str(refused), source=visitor.source, fingerprint=fingerprint, issuer=None
                ),
                durable=True,
            )
            raise
        seconds = int(ttl.total_seconds())
        self.audit.append(
            events.login_granted(signed, source=visitor.source, ttl_s=seconds), durable=True
        )
        await channel.write(line.rstrip(b"\n") + b"\n")
        minutes = f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"
        await say(channel, f"interlock: you are {signed} for {minutes}, with key {fingerprint}")
        return 0


async def _token(channel: Channel) -> str:
    """What was piped in; nothing when there is a keyboard, for a person to log in by."""
    if channel.terminal is not None:
        return ""
    data = b""
    while chunk := await channel.read():
        data += chunk
        if len(data) > TOKEN_LIMIT:
            msg = f"that is too long for an ID token ({TOKEN_LIMIT} bytes at most)"
            raise UsageError(msg)
    token = data.decode("ascii", "replace").strip()
    if not token:
        raise UsageError(HOW)
    return token
