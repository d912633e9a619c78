"""Logging in at a PostgreSQL server, up to its first ReadyForQuery."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable
from broker.postgres import scram
from broker.postgres.dial import Elsewhere
from broker.wire import messages, notices, startup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.postgres.upstream import Upstream

_OK, _CLEARTEXT, _MD5, _SASL, _CONTINUE, _FINAL = 0, 3, 5, 10, 11, 12
_METHODS = {_CLEARTEXT: "password", _MD5: "md5", _SASL: "scram-sha-256"}
_NAMES = {
    "password": "a password in clear text",
    "md5": "a password as MD5",
    "scram-sha-256": "SCRAM",
}


async def log_in(upstream: Upstream, password: str | None, settings: Mapping[str, str]) -> None:
    """Start up and authenticate; fills in the server's settings and cancel key."""
    target = upstream.target
    parameters = {"user": upstream.user, "database": target.dbname, **settings}
    upstream.writer.write(startup.startup_message(parameters))
    await _authenticate(upstream, password)
    while (message := await upstream.receive()).kind != "Z":
        if message.kind == "K":
            upstream.key = message.body
        elif message.kind not in "SN":
            raise TargetUnreachable(_unexpected(upstream, message.kind))


async def _authenticate(upstream: Upstream, password: str | None) -> None:
    """Do what the server asks, if the target's settings let us; done only when it is content."""
    proven = False
    while True:
        message = await upstream.receive()
        if message.kind == "N":
            continue
        if message.kind != "R":
            raise TargetUnreachable(_unexpected(upstream, message.kind))
        body = messages.Body(message.body)
        code = body.int32()
        if code == _OK:
            if not proven:
                _check_method(upstream, "none")
            return
        method = _METHODS.get(code)
        if method is None:
            msg = f"{upstream.target.name} asks for a proof by method {code}, which is not given"
            raise TargetUnreachable(msg)
        _check_method(upstream, method)
        if password is None:
            msg = f"{upstream.target.name} asks for a password, and none is configured"
            raise TargetUnreachable(msg)
        if code == _SASL:
            await _scram(upstream, password, body.rest())
            return
        upstream.writer.write(messages.frame("p", _simple(upstream, code, password, body)))
        proven = True


def _check_method(upstream: Upstream, method: str) -> None:
    """Is it one that the target's settings and this channel allow? TargetUnreachable if not."""
    target = upstream.target
    if method not in target.methods:
        what = "lets us in without a proof" if method == "none" else f"asks for {_NAMES[method]}"
        msg = f"{target.name} {what}, which its require_auth excludes"
        raise TargetUnreachable(msg)
    if method != "scram-sha-256" and target.channel_binding == "require":
        msg = "the target does not bind the password to TLS, which channel_binding=require demands"
        raise TargetUnreachable(msg)
    if method in {"password", "md5"} and not _is_private(upstream):
        msg = f"{target.name} asks for {_NAMES[method]} without TLS, which is not given"
        raise TargetUnreachable(msg)


def _is_private(upstream: Upstream) -> bool:
    """Can nobody listen: TLS, or a Unix socket?"""
    tls = upstream.writer.get_extra_info("ssl_object") is not None
    return tls or upstream.at[0].startswith("/")


def _simple(upstream: Upstream, code: int, password: str, body: messages.Body) -> bytes:
    if code == _MD5:
        inner = _md5(password.encode() + upstream.user.encode())
        return messages.cstring(b"md5" + _md5(inner + body.take(4)))
    return messages.cstring(password)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


async def _scram(upstream: Upstream, password: str, offered: bytes) -> None:
    """The whole exchange; the server's AuthenticationOk counts only after its own proof."""
    names = [name.decode("latin-1") for name in offered.split(b"\0") if name]
    binding = scram.choose(names, _channel(upstream), upstream.target.channel_binding)
    exchange = scram.Exchange(binding, password)
    first = exchange.first()
    start = messages.cstring(binding.mechanism) + messages.int32(len(first)) + first
    upstream.writer.write(messages.frame("p", start))
    challenge = await _expected(upstream, _CONTINUE)
    quick = exchange.is_quick(challenge)
    proof = (
        exchange.final(challenge) if quick else await asyncio.to_thread(exchange.final, challenge)
    )
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


class Refusal(TargetUnreachable):
    """An error of the server itself; unless it was at login, the connection goes on."""


_NOT_NOW = "57P03"  # starting up, shutting down, or not (yet) open for sessions


def refused(upstream: Upstream, body: bytes) -> TargetUnreachable:
    """The server's own error, as one sentence."""
    name, user, dbname = upstream.target.name, upstream.user, upstream.target.dbname
    fields = notices.read(body)
    code = fields.get("C", b"").decode("ascii", "replace")
    text = fields.get("M", b"").decode("utf-8", "replace")
    if code == _NOT_NOW:
        return Elsewhere(f"{name} takes no sessions now: {text}")
    known = {
        "28P01": f"{name} refuses the password of {user}",
        "28000": f"{name} refuses {user}: {text}",
        "3D000": f"{name} has no database {dbname}",
        "53300": f"{name} has no connection left for {user}",
    }
    return Refusal(known.get(code, f"{name} refuses us: {text}"))
