"""Starts a program that may turn hostile with few rights, and says which layers hold it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from broker.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAUNCHER = str(Path(__file__).with_name("launcher.py"))
NOBODY = 65534
MIB = 1024 * 1024

LIMITS = {
    "RLIMIT_NPROC": 0,
    "RLIMIT_FSIZE": 0,
    "RLIMIT_CORE": 0,
    "RLIMIT_NOFILE": 64,
    "RLIMIT_AS": 1024 * MIB,
}
LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ld.so.cache",
    "/usr/share/terminfo",
    "/usr/share/zoneinfo",
    "/dev/null",
)
LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")


@dataclass(frozen=True, slots=True)
class Confined:
    """A running program, the layers that hold it, and those that this machine does not offer."""

    process: asyncio.subprocess.Process
    layers: tuple[str, ...]
    missing: tuple[str, ...]

    async def end(self) -> int:
        """Kill it if it still runs; its exit status."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                self.process.kill()
        return await self.process.wait()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How programs are confined. `user` (uid, gid) is used when the broker is root.

    `without` names layers left out, for tests that show what the others stop by themselves.
    """

    user: tuple[int, int] = (NOBODY, NOBODY)
    limits: Mapping[str, int] = field(default_factory=lambda: dict(LIMITS))
    without: tuple[str, ...] = ()

    @property
    def owner(self) -> tuple[int, int] | None:
        """The uid and gid that the program will have, or None when they are our own."""
        return self.user if os.geteuid() == 0 else None

    async def start(
        self,
        argv: Sequence[str],
        *,
        terminal: int,
        errors: int,
        environment: Mapping[str, str],
        read: Sequence[str],
    ) -> Confined:
        """Start a program with `terminal` as its input and output, and `errors` for its errors.

        It may read only `read`, the system's libraries and itself, and execute only itself.
        """
        report_in, report_out = os.pipe()
        spec = {
            "report": report_out,
            "user": self.owner,
            "limits": dict(self.limits),
            "read": [*LIBRARIES, *read],
            "execute": [argv[0], *LOADERS],
            "without": self.without,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", LAUNCHER, json.dumps(spec), *argv),
                stdin=terminal,
                stdout=terminal,
                stderr=errors,
                env=dict(environment),
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the broker's own terminal is not for it
                pass_fds=(report_out,),
            )
        except BaseException:
            os.close(report_in)
            raise
        finally:
            os.close(report_out)
        confined = Confined(process, (), ())
        try:
            told = await _read_all(report_in)
            return _reported(process, told)
        except BaseException:
            await confined.end()
            raise
        finally:
            os.close(report_in)


def _reported(process: asyncio.subprocess.Process, told: bytes) -> Confined:
    lines = told.splitlines()
    report = json.loads(lines[-1]) if lines and lines[-1] else {"failed": "no report"}
    if "failed" in report:
        msg = f"the sandbox could not be built: {report['failed']}"
        raise InterlockError(msg)
    return Confined(process, tuple(report["held"]), tuple(report["missing"]))


async def _read_all(descriptor: int) -> bytes:
    """What is written to a pipe until its other end is closed."""
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()
    pieces: list[bytes] = []
    done: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        try:
            piece = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        pieces.append(piece)
        if not piece and not done.done():
            done.set_result(None)

    loop.add_reader(descriptor, ready)
    try:
        await done
    finally:
        loop.remove_reader(descriptor)
    return b"".join(pieces)
