"""A real sshd as a target, when this machine has one; the demo does without it otherwise."""

from __future__ import annotations

import asyncio
import getpass
import os
import pwd
import shutil
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from broker.demo.database import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PRIVILEGE_SEPARATION = Path("/run/sshd")  # sshd run by root insists on this empty directory

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {room}/host_key
PidFile none
AuthorizedKeysFile none
TrustedUserCAKeys {authority}
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PrintMotd no
LogLevel ERROR
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A running sshd: where, as whom, and the host key to pin."""

    port: int
    user: str
    host_key: str


def sshd() -> str | None:
    """The server program of OpenSSH, or None."""
    return shutil.which("sshd", path=os.defpath + ":/usr/sbin:/usr/local/sbin:/sbin")


def _may_log_in() -> bool:
    """Has this account a shell that sshd would start?"""
    return Path(pwd.getpwuid(os.geteuid()).pw_shell).name not in {"nologin", "false"}


@asynccontextmanager
async def machine(room: Path, authority: Path) -> AsyncIterator[Machine | None]:
    """An sshd that trusts our target CA inside the block; None where there is no sshd."""
    program = sshd()
    if program is None or not _may_log_in():
        yield None
        return
    made = os.geteuid() == 0 and not PRIVILEGE_SEPARATION.exists()
    if made:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    key = asyncssh.generate_private_key("ssh-ed25519")
    host_key = room / "host_key"
    host_key.touch(0o600)
    host_key.write_bytes(key.export_private_key())
    port = free_port()
    config = room / "sshd_config"
    config.write_text(CONFIG.format(port=port, room=room, authority=authority))
    process = await asyncio.create_subprocess_exec(
        program, "-D", "-e", "-f", str(config), stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        line = key.export_public_key().decode().strip()
        ready = await _listens(port, process)
        yield Machine(port, getpass.getuser(), line) if ready else None
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        if made:
            PRIVILEGE_SEPARATION.rmdir()


async def _listens(port: int, process: asyncio.subprocess.Process) -> bool:
    for _ in range(500):
        if process.returncode is not None:
            return False
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return True
    return False
