"""A raw terminal on the target: by a rule alone, masked and recorded, its lines not judged.

What is typed there is never recorded as text: we do not know what the target echoes, and what it
does not echo is a password. The output shows what was echoed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.errors import UsageError
from broker.model import Answer, Language, Statement
from broker.policy.shell.emit import quoted
from broker.shell.outlet import Outlet
from broker.shell.runner import one_error
from broker.targets import CommandTarget

if TYPE_CHECKING:
    from broker.console.client import Client
    from broker.gate import Gate
    from broker.shell.lines import Lines
    from broker.shell.runner import Runner
    from broker.targets import SshTarget

WORD = "terminal"  # what asks for one: ssh -t TARGET@BROKER terminal, or at our prompt
NOTICE = (
    "interlock: this is a raw terminal: your lines are not judged. "
    "What it shows is masked and recorded.\n"
)
LOGIN_SHELL = 'exec "${SHELL:-/bin/sh}" -l'


def wanted(text: str) -> bool:
    """Does this line ask for a raw terminal?"""
    return text.strip() == WORD


async def open_terminal(lines: Lines) -> int:
    """Ask for one, and run it to its end: its exit status, or the code of its refusal."""
    client, gate = lines.client, lines.gate
    if client.terminal is None:
        msg = "a raw terminal needs a terminal: ssh -t TARGET@THIS-HOST terminal"
        raise UsageError(msg)
    verdict = await lines.asking.ask(Statement(Language.TERMINAL, WORD))
    if verdict is None:
        return 130
    if verdict.answer is not Answer.ALLOW:
        return lines.refusal_code
    await client.write_error(gate.said(NOTICE.replace("\n", "\r\n")))
    return await _run(lines, _Typed(client, gate))


async def _run(lines: Lines, typed: _Typed) -> int:
    client, gate = lines.client, lines.gate
    out = Outlet(gate.stream(interactive=True), client.write)
    with one_error():
        async with asyncio.TaskGroup() as group:
            quiet = group.create_task(out.release_when_quiet())
            try:
                status = await lines.runner.run(
                    _command(lines.target, lines.runner),
                    stdin=typed,
                    stdout=out,
                    stderr=out,
                    terminal=client.terminal,
                    controls=lines.controls,
                )
            finally:
                quiet.cancel()
                typed.told()
    await out.finish()
    return status


def _command(target: SshTarget | CommandTarget, runner: Runner) -> str:
    """The login shell of an ssh target; of a command target its own program, alone."""
    if not isinstance(target, CommandTarget):
        return LOGIN_SHELL
    if target.shell == "patterns":
        msg = f"target {target.name} reads lines, not keys: it gives no raw terminal"
        raise UsageError(msg)
    return f"exec {' '.join(map(quoted, target.argv))}" if runner.has_shell else ""


class _Typed:
    """The client's keys for the program; the recording learns only how many there were."""

    def __init__(self, client: Client, gate: Gate) -> None:
        self._client = client
        self._gate = gate
        self._count = 0

    async def read(self) -> bytes:
        data = await self._client.read()
        self._count += len(data)
        if b"\r" in data or b"\n" in data or not data:
            self.told()
        return data

    def told(self) -> None:
        """Record the count since the last line."""
        if self._count:
            self._gate.hidden(self._count)
        self._count = 0
