"""A program on this machine as a target: one process, in a session of its own, for each line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.errors import TargetUnreachable
from broker.shell.confinement import PATH, confined, has_namespaces
from broker.shell.program import Program
from broker.shell.runner import copy_in, copy_out, one_error
from broker.shell.terminal import PseudoTerminal
from broker.targets import SecretSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.console.client import Terminal
    from broker.shell.runner import Controls, Reader, Sink, Source, Writer
    from broker.targets import CommandTarget

    Resolve = Callable[[SecretSource], str]

SHELLS = frozenset(["sh", "bash", "dash", "ash", "ksh"])


class LocalRunner:
    """Runs the lines of one session of a `command` target."""

    def __init__(self, target: CommandTarget, resolve: Resolve) -> None:
        self._target = target
        self._resolve = resolve
        self._secrets: dict[str, str] | None = None
        self._user = _account(target)
        self._first = os.path.realpath(self._directory())
        self.has_shell = target.shell == "lines" and _is_shell(target.argv)

    async def run(
        self,
        command: str,
        *,
        stdin: Source | None,
        stdout: Sink,
        stderr: Sink,
        terminal: Terminal | None,
        controls: Controls,
    ) -> int:
        """Run one line. With ``shell: patterns`` the line is the program's input."""
        if self._target.shell == "patterns":
            stdin, terminal = _Line(command), None
        argv = self._argv(command, terminal=terminal is not None)
        if terminal is not None:
            return await self._in_terminal(argv, terminal, stdin, stdout, controls)
        pipe = asyncio.subprocess.PIPE
        program = await self._start(
            argv,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
        ends = [(program.output(1), stdout), (program.output(2), stderr)]
        with controls.attached(None, program.signal):
            return await _converse(program, ends, stdin, program.input())

    async def _in_terminal(
        self,
        argv: list[str],
        terminal: Terminal,
        stdin: Source | None,
        stdout: Sink,
        controls: Controls,
    ) -> int:
        with contextlib.closing(PseudoTerminal(terminal)) as pty:
            if self._user is not None:
                os.fchown(pty.slave, self._user.pw_uid, -1)
            program = await self._start(
                argv,
                start_new_session=has_namespaces(),
                stdin=pty.slave,
                stdout=pty.slave,
                stderr=pty.slave,
                extra={"TERM": terminal.type or "dumb"},
            )
            pty.give_away()
            with controls.attached(pty.resize, pty.signal):
                return await _converse(program, [(pty, stdout)], stdin, pty)

    async def where(self) -> str | None:
        """Known without asking."""
        return self._first if self.has_shell else None

    async def home(self) -> str | None:
        """The one that we give it."""
        return _absolute(self._environment()["HOME"]) if self.has_shell else None

    async def close(self) -> None:
        """Nothing is left: each line's processes end with it."""

    async def _start(
        self,
        argv: list[str],
        *,
        extra: dict[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - passed on as they are
    ) -> Program:
        env = self._environment() | (extra or {})
        try:
            return await Program.start(argv, env=env, cwd=self._directory(), **options)
        except OSError as error:
            msg = f"target {self._target.name} cannot be started: {error.strerror}"
            raise TargetUnreachable(msg) from error

    def _argv(self, command: str, *, terminal: bool) -> list[str]:
        words = list(self._target.argv)
        program = shutil.which(words[0], path=self._environment()["PATH"])
        if program is None:
            msg = f"target {self._target.name} cannot be started: {words[0]} was not found"
            raise TargetUnreachable(msg)
        words[0] = program
        if self.has_shell:
            words += ["-c", command]
        elif self._target.shell == "lines":
            words += shlex.split(command)  # canonical text: plain or single-quoted words
        return confined(words, self._user, terminal=terminal)

    def _environment(self) -> dict[str, str]:
        if self._secrets is None:
            self._secrets = {
                name: self._resolve(value) if isinstance(value, SecretSource) else value
                for name, value in self._target.env.items()
            }
        account = self._user or pwd.getpwuid(os.geteuid())
        base = {"PATH": PATH, "HOME": account.pw_dir, "LANG": "C.UTF-8"}
        base |= {"USER": account.pw_name, "LOGNAME": account.pw_name}
        return base | self._secrets

    def _directory(self) -> str:
        if self._target.cwd is not None:
            return str(self._target.cwd)
        home = (self._user or pwd.getpwuid(os.geteuid())).pw_dir
        return home if Path(home).is_dir() else "/"


class _Line:
    """One line as a program's whole input."""

    def __init__(self, line: str) -> None:
        self._rest = [f"{line}\n".encode()]

    async def read(self) -> bytes:
        return self._rest.pop() if self._rest else b""


def _absolute(path: str) -> str | None:
    return path if path.startswith("/") and path.isprintable() else None


def _is_shell(argv: tuple[str, ...]) -> bool:
    name = Path(argv[0]).name
    return name in SHELLS or (name == "busybox" and argv[1:2] in (("sh",), ("ash",)))


def _account(target: CommandTarget) -> pwd.struct_passwd | None:
    if target.user is None:
        return None
    try:
        account = pwd.getpwnam(target.user)
    except KeyError as error:
        msg = f"target {target.name} runs as {target.user}, who is not known on this machine"
        raise TargetUnreachable(msg) from error
    if os.geteuid() not in (0, account.pw_uid):
        msg = f"target {target.name} runs as {target.user}; only root can start it so"
        raise TargetUnreachable(msg)
    return account


async def _converse(
    program: Program,
    outputs: list[tuple[Reader, Sink]],
    stdin: Source | None,
    into: Writer | None,
) -> int:
    """Pass bytes both ways until the program ended and its output was taken."""
    try:
        with one_error():
            async with asyncio.TaskGroup() as group:
                for reader, sink in outputs:
                    group.create_task(copy_out(reader, sink))
                feeding = (
                    group.create_task(copy_in(stdin, into))
                    if stdin is not None and into is not None
                    else None
                )
                await program.ended.wait()
                program.kill_group()  # what it left behind may not outlive the line
                if feeding is not None:
                    feeding.cancel()
    finally:
        await program.close()
    return program.status
