"""A bare connection to a PostgreSQL server: TCP or Unix socket, and TLS as `sslmode` says."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable
from broker.identity.addresses import is_loopback
from broker.postgres import tls
from broker.wire.startup import ssl_request

if TYPE_CHECKING:
    from broker.targets import PostgresTarget

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Address = tuple[str, int]


class Elsewhere(TargetUnreachable):
    """This server cannot serve us now; another of the same target may."""


async def dial(
    target: PostgresTarget,
    at: Address | None = None,
    *,
    passphrase: str | None = None,
    peer: str | None = None,
) -> Streams:
    """Connect. Raises TargetUnreachable with one sentence; OSErrors are told, not raised.

    `at` is one of the target's addresses, its first by default; `peer` the numeric address that a
    name stood for before, for a cancellation must reach the very server of its session.
    """
    host, port = at or target.addresses[0]
    try:
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await _dial_tcp(target, host, await _connected(peer or host, port), passphrase)
    except socket.gaierror as error:
        msg = f"{target.name} is at {host}, and nobody knows that host"
        raise Elsewhere(msg) from error
    except ssl.SSLError as error:
        raise TargetUnreachable(tls.not_proven(target, host, error)) from error
    except (OSError, EOFError) as error:
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number).lower() if number else "no connection"
        msg = f"{target.name} does not answer at {host}:{port}: {why}"
        raise Elsewhere(msg) from error


async def _dial_tcp(
    target: PostgresTarget, host: str, sock: socket.socket, passphrase: str | None
) -> Streams:
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        direct = target.sslnegotiation == "direct"
        if target.sslmode == "disable" or not (direct or await _offers_tls(sock, target, host)):
            return await asyncio.open_connection(sock=sock)
        context = await asyncio.to_thread(tls.context_for, target, passphrase)
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host)
    except BaseException:
        sock.close()
        raise
    agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    if direct and agreed != tls.ALPN:
        writer.transport.abort()
        msg = f"{target.name} does not take TLS at once; use sslnegotiation=postgres"
        raise TargetUnreachable(msg)
    return reader, writer


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem


async def _offers_tls(sock: socket.socket, target: PostgresTarget, host: str) -> bool:
    """Ask for TLS. Exactly one byte is read, so nothing in plain text can be taken as encrypted.

    ``prefer`` and ``allow`` go on in plain text on this very machine only: whoever sits between us
    and another one could have said the N.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, ssl_request())
    answer = await loop.sock_recv(sock, 1)
    if answer == b"S":
        return True
    if answer != b"N" or target.sslmode not in {"allow", "prefer"}:
        msg = f"{target.name} does not offer TLS, which sslmode={target.sslmode} demands"
        raise TargetUnreachable(msg)
    if not is_loopback(host):
        msg = (
            f"{target.name} does not offer TLS; plain text to another machine needs sslmode=disable"
        )
        raise TargetUnreachable(msg)
    return False
