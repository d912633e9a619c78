"""The ways into a shell target, as the front door calls them: which console for which request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.console.history import Histories
from broker.shell.session import run_command, run_interactive, run_script
from broker.targets import PostgresTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.console.client import Client
    from broker.live import Opened
    from broker.model import Identity
    from broker.shell.parser import ShellParser
    from broker.shell.runner import Runner


class ShellWays:
    """Implements the front door's way for `ssh` and `command` targets.

    `runner` makes the session's own way to the target; it is closed with the session. `commands`
    gives the patterns of what an identity may run on a target, for completion; `raw_only` says
    whether somebody may have a raw terminal there and nothing else.
    """

    def __init__(
        self,
        runner: Callable[[Opened], Runner],
        parser: ShellParser,
        commands: Callable[[Identity, str], Sequence[str]] = lambda _who, _target: (),
        raw_only: Callable[[Opened], bool] = lambda _: False,
    ) -> None:
        self._runner = runner
        self._parser = parser
        self._commands = commands
        self._raw_only = raw_only
        self._histories = Histories()

    async def __call__(self, opened: Opened, client: Client, command: str | None) -> int:
        """One session, to its exit code."""
        target = opened.target
        if isinstance(target, PostgresTarget):
            raise TypeError(target)
        runner = self._runner(opened)
        way = (client, opened.gate, target, runner, self._parser)
        try:
            if command is not None:
                return await run_command(*way, command)
            if client.terminal is not None:
                who = opened.session.identity
                return await run_interactive(
                    *way,
                    history=self._histories.of(str(who), target.name),
                    commands=self._commands(who, target.name),
                    raw=self._raw_only(opened),
                )
            return await run_script(*way)
        finally:
            await runner.close()
