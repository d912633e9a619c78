"""A bare connection to a PostgreSQL server: TCP or Unix socket, and TLS as `sslmode` says."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable
from broker.wire.startup import ssl_request

if TYPE_CHECKING:
    from broker.targets import PostgresTarget

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(target: PostgresTarget) -> Streams:
    """Connect. Raises TargetUnreachable with one sentence; OSErrors are told, not raised."""
    try:
        if target.host.startswith("/"):
            return await asyncio.open_unix_connection(f"{target.host}/.s.PGSQL.{target.port}")
        return await _dial_tcp(target)
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        msg = f"{target.name} is not who it should be: {why}"
        raise TargetUnreachable(msg) from error
    except (OSError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no connection"
        msg = f"{target.name} does not answer at {target.host}:{target.port}: {why}"
        raise TargetUnreachable(msg) from error


async def _dial_tcp(target: PostgresTarget) -> Streams:
    sock = await _connected(target)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if target.sslmode == "disable" or not await _offers_tls(sock, target):
            return await asyncio.open_connection(sock=sock)
        context = tls_context(target)
        return await asyncio.open_connection(sock=sock, ssl=context, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise


async def _connected(target: PostgresTarget) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
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


async def _offers_tls(sock: socket.socket, target: PostgresTarget) -> bool:
    """Ask for TLS. Exactly one byte is read, so nothing in plain text can be taken as encrypted."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, ssl_request())
    answer = await loop.sock_recv(sock, 1)
    if answer == b"S":
        return True
    if answer != b"N" or target.sslmode not in {"allow", "prefer"}:
        msg = f"{target.name} does not offer TLS, which sslmode={target.sslmode} demands"
        raise TargetUnreachable(msg)
    return False


def tls_context(target: PostgresTarget) -> ssl.SSLContext:
    """libpq's meaning of `sslmode`: ``require`` verifies when there is a root certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    mode, root = target.sslmode, target.sslrootcert
    verify = mode in {"verify-ca", "verify-full"} or (mode == "require" and root is not None)
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify and root is not None:
        context.load_verify_locations(cafile=root)
    elif verify:
        context.load_default_certs()
    return context
