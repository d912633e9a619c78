"""Everything at once: issuers, a database, a machine, and a broker in front of them."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from broker.app import running
from broker.config.load import load
from broker.demo.database import database, unprivileged
from broker.demo.folder import PERSONAS, make_keys, write_ssh_config, write_token
from broker.demo.issuer import DemoIssuer
from broker.demo.machine import machine
from broker.identity.authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from broker.demo.database import Database
    from broker.demo.machine import Machine

TOKEN_EVERY = 1.0  # seconds between new tokens in the folder

BOX_FILES = {
    "notes.txt": "Call ada.byron@example.com about order 17.\nHer card is 4111 1111 1111 1111.\n",
    "readme.txt": "A box with two files and nothing else.\n",
}


@dataclass(frozen=True, slots=True)
class World:
    """A running demo. `ssh_config` has a host for each persona: ``ssh -F ... orders@agent``."""

    folder: Path
    ssh_config: Path
    port: int
    database: Database
    machine: Machine | None


@asynccontextmanager
async def world(folder: Path, port: int = 0) -> AsyncIterator[World]:
    """All of it inside the block, everything in `folder`."""
    keys = Authority.open(folder / "state" / "keys")
    async with AsyncExitStack() as stack:
        issuers = {
            name: await stack.enter_async_context(DemoIssuer("interlock").listening())
            for name in ("ci", "corp")
        }
        password = secrets.token_urlsafe(18)
        servers = folder / "servers"
        servers.mkdir(mode=0o711)
        sample = files("broker.demo").joinpath("sample.sql").read_text()
        orders = await stack.enter_async_context(database(servers, password, sample))
        sshd = folder / "sshd"
        sshd.mkdir(mode=0o755)
        web = await stack.enter_async_context(
            machine(sshd, folder / "state" / "keys" / "target_ca.pub")
        )
        _furnish(folder, issuers, password)
        config = load(_write_config(folder, port, issuers, orders, web), environ={})
        broker = await stack.enter_async_context(running(config, environ={}))
        authority = keys.known_hosts_line("interlock-demo")
        ssh_config = write_ssh_config(folder, broker.host, broker.port, authority)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        minting = tasks.create_task(_mint(folder, issuers))
        yield World(folder, ssh_config, broker.port, orders, web)
        minting.cancel()


async def _mint(folder: Path, issuers: dict[str, DemoIssuer]) -> None:
    """A token works once: keep a new one in every persona's file."""
    while True:
        await asyncio.sleep(TOKEN_EVERY)
        with suppress(OSError):  # the disk is full: the last ones stay, the broker goes on
            for persona in PERSONAS:
                write_token(folder, persona.name, issuers[persona.issuer].token(persona.claims))


def _furnish(folder: Path, issuers: dict[str, DemoIssuer], password: str) -> None:
    make_keys(folder)
    for persona in PERSONAS:
        write_token(folder, persona.name, issuers[persona.issuer].token(persona.claims))
    secret = folder / "app-password"
    secret.touch(0o600)
    secret.write_text(password)
    box = folder / "box"
    box.mkdir(mode=0o755)
    for name, text in BOX_FILES.items():
        (box / name).write_text(text)


def _write_config(
    folder: Path,
    port: int,
    issuers: dict[str, DemoIssuer],
    orders: Database,
    web: Machine | None,
) -> Path:
    template = Template(files("broker.demo").joinpath("interlock.yaml").read_text())
    target = rule = ""
    if web is not None:
        target = (
            f"  web:                                  # a real sshd on this machine\n"
            f"    kind: ssh\n    host: 127.0.0.1\n    port: {web.port}\n    user: {web.user}\n"
            f'    host_key: "{web.host_key}"\n'
        )
        rule = ", web"
    text = template.substitute(
        PORT=port,
        ISSUER=issuers["ci"].url,
        PEOPLE=issuers["corp"].url,
        DATABASE_PORT=orders.port,
        BOX=folder / "box",
        BOX_USER="" if unprivileged() is None else "\n    user: nobody",
        MACHINE=target,
        MACHINE_NAME=rule,
    )
    path = folder / "interlock.yaml"
    path.write_text(text)
    return path
