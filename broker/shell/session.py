"""One command and a script on stdin, judged line by line. With a person: `interactive`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.policy.shell.bounds import SIZE
from broker.shell.interactive import run_interactive
from broker.shell.kept import Leave
from broker.shell.lines import WITHDRAWN, Lines
from broker.shell.raw import open_terminal, wanted

if TYPE_CHECKING:
    from broker.console.client import Client
    from broker.gate import Gate
    from broker.shell.parser import ShellParser
    from broker.shell.runner import Runner
    from broker.targets import CommandTarget, SshTarget

    Target = SshTarget | CommandTarget

__all__ = ["run_command", "run_interactive", "run_script"]


async def run_command(
    client: Client, gate: Gate, target: Target, runner: Runner, parser: ShellParser, command: str
) -> int:
    """One command: its exit code, or the code of its refusal. Its input is the client's.

    A shell that would read a script from its input is not run: we judge and run the script.
    """
    lines = Lines(client, gate, target, runner, parser)
    if wanted(command):
        lines.listen()
        return await open_terminal(lines)
    arguments = lines.script(command) if client.terminal is None else None
    if arguments is not None:
        return await run_script(client, gate, target, runner, parser, arguments)
    lines.listen()
    try:
        return await lines.line(command, stdin=lines.ahead)
    except Leave as leave:
        return leave.status


async def run_script(
    client: Client,
    gate: Gate,
    target: Target,
    runner: Runner,
    parser: ShellParser,
    arguments: tuple[str, ...] = (),
) -> int:
    """A script on stdin, each statement judged as it is read, just before it runs.

    Ends at the first refusal with its code, else with the last command's. The script is its
    commands' only input, so they get none.
    """
    lines = Lines(client, gate, target, runner, parser, arguments)
    lines.listen()
    await lines.arrive()
    reader = _Statements(lines)
    status = 0
    try:
        while (data := await reader.next()) is not None:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                return await lines.refuse_bytes(data)
            status = lines.status = await lines.line(text, stdin=None)
            if gate.refusal is not None:
                return lines.refusal_code
            if status == WITHDRAWN:
                return status
    except Leave as leave:
        return leave.status
    return status


class _Statements:
    """Cuts a stream into statements at the line ends where the grammar is satisfied."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._unread = b""
        self._ended = False

    async def next(self) -> bytes | None:
        """The next complete statement, or what is left of one at the end of input."""
        statement = b""
        needs: bytes | None = b""
        while needs is not None and len(statement) <= SIZE:
            line = await self._line()
            if not line:
                return statement or None
            statement += line
            if needs in line:
                missing = self._lines.unfinished(statement.decode(errors="replace"))
                needs = None if missing is None else missing.encode()
        return statement

    async def _line(self) -> bytes:
        while b"\n" not in self._unread and not self._ended and len(self._unread) <= SIZE:
            data = await self._lines.ahead.read()
            self._ended = not data
            self._unread += data
        line, newline, self._unread = self._unread.partition(b"\n")
        return line + newline
