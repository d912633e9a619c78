"""A broker in a process of its own, and beside it the OpenSSH servers that do the same without it.

`room` makes all of it in one folder, with one ssh configuration: hosts `agent` and `engineer` are
the broker, `jump` is an sshd for `-L` and `-J`, and `machine` is the sshd that is the broker's
target `web`. Both ways use the same cipher, so that a ratio compares servers and not ciphers.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg

from broker.demo.database import database, free_port
from broker.demo.folder import PERSONAS, make_keys, write_ssh_config
from broker.demo.issuer import DemoIssuer
from broker.demo.machine import machine
from broker.demo.tour import environment
from broker.identity.authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from broker.demo.database import Database
    from broker.demo.machine import Machine

CIPHER = "aes256-gcm@openssh.com"
PASSWORD = "bench"  # noqa: S105 - of a server that lives for this run, on loopback

CONFIG = """\
listen: 127.0.0.1:0
state: state
drain: 1s
issuers:
  - {{name: ci, issuer: "{ci}", audience: interlock, kind: agent, user: "{{repository}}",
     groups: [bench], ttl: 8h}}
  - {{name: corp, issuer: "{corp}", audience: interlock, kind: human, user: "{{email}}",
     groups: [bench], ttl: 8h}}
targets:
  orders:
    kind: postgres
    dsn: postgresql://app@127.0.0.1:{database}/orders?sslmode=disable
    password: {{file: app-password}}
  web:
    kind: ssh
    host: 127.0.0.1
    port: {port}
    user: {user}
    host_key: "{host_key}"
  box: {{kind: command, argv: [/bin/sh], cwd: {folder}}}
rules:
  - {{name: read, who: [group:bench], targets: [orders],
     allow: {{actions: [select, explain, transaction, set, show], tables: ["*.*"]}}}}
  - {{name: work, who: [group:bench], targets: [web, box],
     allow: {{commands: ["cat **", "head **", "true", "echo **"]}}}}
limits: {{connections_per_identity: 500, sessions_per_identity: 500}}
{masking}
"""
DETECT = """\
masking:
  detect: [email, credit_card, us_ssn]
  columns: {"orders:public.masked.item": redact}
"""

PLAIN = """\
Host {name}
    HostName 127.0.0.1
    Port {port}
    User {user}
    HostKeyAlias {name}
    UserKnownHostsFile {folder}/plain_hosts
    IdentityFile {folder}/plain
    IdentitiesOnly yes
    IdentityAgent none
"""


@dataclass(frozen=True, slots=True)
class Room:
    """Everything that runs, and how a stock ssh finds it."""

    folder: Path
    database: Database
    process: asyncio.subprocess.Process

    def ssh(self, *words: str) -> list[str]:
        """The argv of a stock ssh that knows every host of this room."""
        return ["ssh", "-F", str(self.folder / "hosts"), "-c", CIPHER, *words]

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this machine's own ssh configuration or agent."""
        return environment(self.folder)

    @asynccontextmanager
    async def forward(self, host: str, to: str) -> AsyncIterator[int]:
        """A local port that `ssh -L` leads to HOST:PORT behind an ssh host, inside the block."""
        port = free_port()
        argv = self.ssh("-N", "-L", f"127.0.0.1:{port}:{to}", host)
        process = await asyncio.create_subprocess_exec(*argv, env=self.environment)
        try:
            await _listening(port, process)
            yield port
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def room(folder: Path, masking: str = DETECT) -> AsyncIterator[Room]:
    """All of it inside the block, everything in `folder`."""
    folder.chmod(0o711)
    keys = Authority.open(folder / "state" / "keys")
    async with AsyncExitStack() as stack:
        ci, corp = [
            await stack.enter_async_context(DemoIssuer("interlock").listening()) for _ in range(2)
        ]
        trusted = _authorities(folder)
        servers = [folder / name for name in ("servers", "jump", "machine")]
        for made in servers:
            made.mkdir(mode=0o711)
        sample = files("broker.demo").joinpath("sample.sql").read_text()
        data = await stack.enter_async_context(database(servers[0], PASSWORD, sample))
        jump, web = [
            await stack.enter_async_context(machine(place, trusted)) for place in servers[1:]
        ]
        if jump is None or web is None:
            sys.exit("bench: an OpenSSH server on this machine is needed to compare with")
        text = CONFIG.format(
            ci=ci.url, corp=corp.url, database=data.port, folder=folder, masking=masking,
            port=web.port, user=web.user, host_key=web.host_key,
        )  # fmt: skip
        process, port = await _serve(stack, folder, text)
        make_keys(folder)
        write_ssh_config(folder, "127.0.0.1", port, keys.known_hosts_line("interlock-demo"))
        _plain(folder, jump=jump, machine=web)
        made_room = Room(folder, data, process)
        for persona, issuer in zip(PERSONAS[:2], (ci, corp), strict=True):
            await _log_in(made_room, persona.name, issuer.token(persona.claims))
        yield made_room


def connect(database: Database, role: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    """A connection to the database itself, to prepare what is measured."""
    return psycopg.connect(
        host="127.0.0.1", port=database.port, dbname="orders", user=role, password=PASSWORD,
        autocommit=True,
    )  # fmt: skip


def _authorities(folder: Path) -> Path:
    """A CA for the plain ways; the sshds trust it and the broker's. Makes the client's key too."""
    generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
    for name in ("plain_ca", "plain"):
        subprocess.run([*generate, str(folder / name)], check=True)
    ours = (folder / "state" / "keys" / "target_ca.pub").read_text().strip()
    trusted = folder / "trusted"
    trusted.write_text(ours + "\n" + (folder / "plain_ca.pub").read_text())
    return trusted


def _plain(folder: Path, **machines: Machine) -> None:
    """The ssh configuration of the plain ways, beside that of the broker."""
    user = next(iter(machines.values())).user
    sign = ["ssh-keygen", "-q", "-s", str(folder / "plain_ca"), "-I", "bench", "-n", user]
    subprocess.run([*sign, str(folder / "plain.pub")], check=True)
    known = [f"{name} {one.host_key}" for name, one in machines.items()]
    (folder / "plain_hosts").write_text("\n".join(known) + "\n")
    hosts = [
        PLAIN.format(name=name, port=one.port, user=one.user, folder=folder)
        for name, one in machines.items()
    ]
    (folder / "hosts").write_text("".join([(folder / "login_config").read_text(), *hosts]))


async def _serve(
    stack: AsyncExitStack, folder: Path, text: str
) -> tuple[asyncio.subprocess.Process, int]:
    (folder / "interlock.yaml").write_text(text)
    secret = folder / "app-password"
    secret.touch(0o600)
    secret.write_text(PASSWORD)
    argv = [sys.executable, "-m", "broker", "serve", "--config", str(folder / "interlock.yaml")]
    log = stack.enter_context((folder / "serve.err").open("wb"))
    process = await asyncio.create_subprocess_exec(*argv, stderr=log, env=dict(os.environ))
    stack.push_async_callback(_stop, process)
    for _ in range(1000):
        said = (folder / "serve.err").read_text()
        if process.returncode is not None:
            sys.exit(f"bench: the broker did not start: {said}")
        if "listening on" in said and said.endswith("\n"):
            line = next(line for line in said.splitlines() if "listening on" in line)
            return process, int(line.rpartition(":")[2])
        await asyncio.sleep(0.02)
    sys.exit("bench: the broker does not listen")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()


async def _log_in(made: Room, persona: str, token: str) -> None:
    argv = made.ssh(f"login@{persona}")
    process = await asyncio.create_subprocess_exec(
        *argv, env=made.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(token.encode())
    if process.returncode:
        sys.exit(f"bench: cannot log in: {err.decode()}")
    (made.folder / f"{persona}-cert.pub").write_bytes(out)


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    for _ in range(500):
        if process.returncode is not None:
            sys.exit("bench: ssh -L ended")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return
    sys.exit("bench: ssh -L does not listen")
