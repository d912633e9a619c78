"""Logging in at a PostgreSQL server, up to its first ReadyForQuery."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable
from broker.postgres import scram
from broker.wire import messages, notices, startup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.postgres.upstream import Upstream

_OK, _CLEARTEXT, _MD5, _SASL, _CONTINUE, _FINAL = 0, 3, 5, 10, 11, 12


async def log_in(upstream: Upstream, password: str | None, settings: Mapping[str, str]) -> None:
    """Start up and authenticate; fills in the server's settings and cancel key."""
    target = upstream.target
    parameters = {"user": target.user, "database": target.dbname, **settings}
    upstream.writer.write(startup.startup_message(parameters))
    await _authenticate(upstream, password)
    while (message := await upstream.receive()).kind != "Z":
        if message.kind == "K":
            upstream.key = message.body
        elif message.kind not in "SN":
            raise TargetUnreachable(_unexpected(upstream, message.kind))


async def _authenticate(upstream: Upstream, password: str | None) -> None:
    while True:
        message = await upstream.receive()
        if message.kind == "N":
            continue
        if message.kind != "R":
            raise TargetUnreachable(_unexpected(upstream, message.kind))
        body = messages.Body(message.body)
        code = body.int32()
        if code == _OK:
            return
        if password is None:
            msg = f"{upstream.target.name} asks for a password, and none is configured"
            raise TargetUnreachable(msg)
        if code == _SASL:
            await _scram(upstream, password, body.rest())
            return
        upstream.writer.write(messages.frame("p", _simple(upstream, code, password, body)))


def _simple(upstream: Upstream, code: int, password: str, body: messages.Body) -> bytes:
    if code == _MD5:
        inner = _md5(password.encode() + upstream.target.user.encode())
        return messages.cstring(b"md5" + _md5(inner + body.take(4)))
    if code == _CLEARTEXT and upstream.writer.get_extra_info("ssl_object") is not None:
        return messages.cstring(password)
    what = "a password in clear text without TLS" if code == _CLEARTEXT else f"method {code}"
    msg = f"{upstream.target.name} asks for {what}, which is not given"
    raise TargetUnreachable(msg)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


async def _scram(upstream: Upstream, password: str, offered: bytes) -> None:
    """The whole exchange; the server's AuthenticationOk counts only after its own proof."""
    names = [name.decode("latin-1") for name in offered.split(b"\0") if name]
    binding = scram.choose(names, _channel(upstream))
    exchange = scram.Exchange(binding, password)
    first = exchange.first()
    start = messages.cstring(binding.mechanism) + messages.int32(len(first)) + first
    upstream.writer.write(messages.frame("p", start))
    challenge = await _expected(upstream, _CONTINUE)
    proof = await asyncio.to_thread(exchange.final, challenge)
    upstream.writer.write(messages.frame("p", proof))
    exchange.verify(await _expected(upstream, _FINAL))
    await _expected(upstream, _OK)


def _channel(upstream: Upstream) -> bytes | None:
    tls = upstream.writer.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return None
    certificate = tls.getpeercert(binary_form=True)
    return scram.end_point(certificate) if certificate else None


async def _expected(upstream: Upstream, code: int) -> bytes:
    message = await upstream.receive()
    body = messages.Body(message.body)
    if message.kind != "R" or body.int32() != code:
        raise TargetUnreachable(_unexpected(upstream, message.kind))
    return body.rest()


def _unexpected(upstream: Upstream, kind: str) -> str:
    return f"{upstream.target.name} answered a login with {kind!r}, out of turn"


def refused(name: str, body: bytes) -> TargetUnreachable:
    """The server's own error at login, as one sentence."""
    text = notices.read(body).get("M", b"").decode("utf-8", "replace")
    return TargetUnreachable(f"{name} refuses us: {text}")
