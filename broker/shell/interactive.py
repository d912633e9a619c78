"""An interactive session on a shell target: our own prompt, and one judged line after another.

A pasted block is shown whole, then judged and run line by line. A line that is refused or
withdrawn, and a `cd` that fails, holds up the lines behind it: they come back to the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from broker.console.completing import recorded_by
from broker.console.telling import PREFIX, visible
from broker.errors import ExitCode, TargetUnreachable
from broker.shell.completing import Completer
from broker.shell.kept import Leave
from broker.shell.lines import WITHDRAWN, Lines
from broker.shell.raw import open_terminal, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from broker.console.client import Client, Terminal
    from broker.console.completing import Complete
    from broker.gate import Gate
    from broker.shell.parser import ShellParser
    from broker.shell.runner import Runner
    from broker.targets import CommandTarget, SshTarget

    Target = SshTarget | CommandTarget

KEYS = {"set -o vi": True, "set -o emacs": False, "set +o vi": False}  # are they vi's?


class LineEditor(Protocol):
    """What an interactive session needs of a line editor."""

    vi: bool

    async def line(self, prompt: str) -> str | None:
        """The accepted text, None at the end of input; raises Interrupted at Ctrl-C."""

    def type_ahead(self, data: bytes) -> object:
        """Keys typed while a line waited: the next prompt shows them."""


class EditorFactory(Protocol):
    """Makes the editor for one session."""

    def __call__(
        self,
        client: Client,
        /,
        *,
        is_complete: Callable[[str], bool],
        history: list[str],
        complete: Complete,
        shown: Callable[[str], str],
        on_resize: Callable[[Terminal], None],
    ) -> LineEditor:
        """The editor becomes the listener for window changes and passes them on."""


async def run_interactive(
    client: Client,
    gate: Gate,
    target: Target,
    runner: Runner,
    parser: ShellParser,
    editor: EditorFactory | None = None,
    *,
    history: list[str] | None = None,
    commands: Sequence[str] = (),
    raw: bool = False,
) -> int:
    """Lines at our own prompt until `exit` or the end of input: the last line's status.

    `history` is what this identity typed here before; `commands` are the patterns of commands that
    the rules let it run, for completion. `raw` gives a raw terminal instead, when that is all that
    the rules give.
    """
    lines = Lines(client, gate, target, runner, parser, history=history)
    if raw:
        lines.listen()
        return await open_terminal(lines)
    try:
        return await _Prompting(lines, editor, commands).run()
    except Leave as leave:
        return leave.status


class _Prompting:
    """One person at the prompt."""

    def __init__(self, lines: Lines, editor: EditorFactory | None, commands: Sequence[str]) -> None:
        from broker.console.editor import Editor  # a fake needs none of it

        self._lines = lines
        self._editor = (editor or Editor)(
            lines.client,
            is_complete=lambda text: lines.unfinished(text) is None,
            history=lines.history,
            complete=Completer(lines, commands),
            shown=recorded_by(lines.gate),
            on_resize=lines.resized,
        )
        lines.keep_ahead(self._editor.type_ahead)
        lines.listen(resizes=False)

    async def run(self) -> int:
        """Ask, judge, run, until the person leaves."""
        from broker.console.editor import Interrupted

        lines = self._lines
        await lines.arrive()
        while True:
            prompt = self._prompt()
            try:
                text = await self._editor.line(prompt)
            except Interrupted:
                lines.gate.said("^C\r\n")  # the editor showed it
                continue
            if text is None:
                return lines.status
            lines.gate.typed(text)
            lines.gate.said(f"{text}\n".replace("\n", "\r\n"))  # the editor showed it, too
            if (keys := KEYS.get(" ".join(text.split()))) is not None:
                self._editor.vi = keys
                lines.status = 0
            else:
                await self._run(text)

    def _prompt(self) -> str:
        place = visible(self._lines.place.cwd or "?")
        return self._lines.gate.said(f"{self._lines.target.name}:{place}$ ").decode()

    async def _run(self, text: str) -> None:
        """Every complete line of a text, each judged before it runs."""
        lines = self._lines
        units = list(self._units(text))
        for at, unit in enumerate(units):
            if at:  # as if it had been typed at a prompt of its own
                shown = f"{self._prompt()}{unit}".replace("\n", "\r\n") + "\r\n"
                lines.gate.said(f"{unit}\r\n".replace("\n", "\r\n"))
                await lines.client.write(shown.encode())
            before = lines.gate.refusal
            lines.status = await self._line(unit)
            failed = lines.gate.refusal is not before or lines.status == WITHDRAWN
            if failed or (lines.status and unit.split()[:1] == ["cd"]):
                await self._hold("\n".join(units[at + 1 :]))
                return

    def _units(self, text: str) -> Iterator[str]:
        """A text cut where the grammar is satisfied; what stays unfinished is the last."""
        unit = ""
        for line in text.split("\n"):
            unit += line
            if unit.strip() and self._lines.unfinished(unit) is None:
                yield unit
                unit = ""
            elif unit.strip():
                unit += "\n"
        if unit.strip():
            yield unit

    async def _hold(self, rest: str) -> None:
        if rest:
            self._editor.type_ahead(rest.encode())
            await self._lines.asking.tell(
                f"{PREFIX}the rest of what you entered was not run; here it is again"
            )

    async def _line(self, text: str) -> int:
        """One line: a failure of the target does not end the session."""
        lines = self._lines
        try:
            if wanted(text):
                return await open_terminal(lines)
            status = await lines.line(text, stdin=lines.client)
        except TargetUnreachable as error:
            await lines.asking.tell(f"{PREFIX}{error}")
            return int(ExitCode.UNREACHABLE)
        if status == WITHDRAWN and lines.client.terminal is not None:
            await lines.client.write(b"\r")
        return status
