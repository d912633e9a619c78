"""An embedded PostgreSQL with sample data: the wheel's binaries, a cluster in the demo's folder.

PostgreSQL refuses to run as root, so as root it runs under an unprivileged user that exists
everywhere (nobody); no user is created.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from broker.errors import TargetUnreachable
from broker.postgres.program import find_psql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

START_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # sample data: nothing here is worth a sync
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "password_encryption": "scram-sha-256",
    "log_statement": "all",
    "logging_collector": "off",
}


@dataclass(frozen=True, slots=True)
class Database:
    """A running server: the broker's role is `app` with `password`; `log` shows what reached it."""

    port: int
    password: str
    log: Path
    bin: Path


def unprivileged() -> tuple[int, int] | None:
    """The uid and gid to run servers as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binaries(room: Path) -> Path:
    """The wheel's PostgreSQL programs; copied into `room` when that user could not reach them."""
    home = find_psql().parent.parent
    if unprivileged() is None or _reachable(home):
        return home / "bin"
    copy = room / "postgresql"
    shutil.copytree(home, copy, symlinks=True)
    return copy / "bin"


def _reachable(path: Path) -> bool:
    """May other users walk down to here?"""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


@asynccontextmanager
async def database(room: Path, password: str, sample: str) -> AsyncIterator[Database]:
    """A server with the `orders` database inside the block; nothing of it is left afterwards."""
    programs = binaries(room)
    data, port = room / "pgdata", free_port()
    owner = unprivileged()
    if owner is not None:
        room.chmod(0o711)
    data.mkdir(mode=0o700)
    secret = room / "pgpass"
    secret.write_text(password)
    for path in (data, secret):
        if owner is not None:
            os.chown(path, *owner)
    initdb = ["initdb", "-D", str(data), "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"]
    await _run(programs, [*initdb, "-A", "scram-sha-256", f"--pwfile={secret}"], owner)
    log = room / "postgres.log"
    with log.open("wb") as sink:
        options = [part for k, v in SETTINGS.items() for part in ("-c", f"{k}={v}")]
        argv = ["postgres", "-D", str(data), "-p", str(port), "-k", str(data), *options]
        server = await _start(programs, argv, owner, sink.fileno())
    try:
        await _answers(port, server)
        await _fill(port, password, sample)
        yield Database(port, password, log, programs)
    finally:
        server.terminate() if server.returncode is None else None
        try:
            await asyncio.wait_for(server.wait(), 5)
        except TimeoutError:
            server.kill()
            await server.wait()


async def _run(programs: Path, argv: list[str], owner: tuple[int, int] | None) -> None:
    process = await _start(programs, argv, owner, subprocess.PIPE)
    out, _err = await process.communicate()
    if process.returncode != 0:
        tail = out.decode(errors="replace").strip().splitlines()[-1:] if out else []
        msg = f"{argv[0]} failed: {' '.join(tail)}"
        raise TargetUnreachable(msg)


async def _start(
    programs: Path, argv: list[str], owner: tuple[int, int] | None, out: int
) -> asyncio.subprocess.Process:
    uid, gid = owner if owner is not None else (None, None)
    return await asyncio.create_subprocess_exec(
        str(programs / argv[0]),
        *argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        env={"PATH": str(programs), "LANG": "C.UTF-8", "TZ": "UTC"},
        cwd="/",
        user=uid,
        group=gid,
        extra_groups=[] if owner is not None else None,
        start_new_session=True,
    )


async def _answers(port: int, server: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            if server.returncode is not None:
                msg = "the embedded PostgreSQL did not start"
                raise TargetUnreachable(msg)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


async def _fill(port: int, password: str, sample: str) -> None:
    login = make_conninfo(host="127.0.0.1", port=port, user="postgres", password=password)
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                first = await psycopg.AsyncConnection.connect(
                    login, dbname="postgres", autocommit=True
                )
            except psycopg.OperationalError:  # still starting up
                await asyncio.sleep(0.02)
                continue
            break
    async with first:
        await first.execute("CREATE DATABASE orders")
    async with await psycopg.AsyncConnection.connect(login, dbname="orders") as conn:
        await conn.execute(sample.replace("APP_PASSWORD", password).encode())
