"""One session's lines: each is read, judged, told about, and run in its place."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from broker.errors import ExitCode, Unparsable
from broker.model import Answer, Language, Statement, Verdict
from broker.policy.shell import Refused, at_home, build, check_text, emit, facts
from broker.policy.shell.scope import STATUS
from broker.policy.shell.tree import Assign, Sequence, Simple
from broker.shell.asking import Ahead, Asking
from broker.shell.kept import Kept
from broker.shell.outlet import Outlet
from broker.shell.place import Place
from broker.shell.runner import Controls, one_error
from broker.shell.scripts import arguments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.console.client import Client, Terminal
    from broker.gate import Gate
    from broker.policy.shell.tree import Node
    from broker.shell.parser import ShellParser
    from broker.shell.runner import Runner, Source
    from broker.targets import CommandTarget, SshTarget

WITHDRAWN = 130  # the exit status of a shell's line that was interrupted
ONE_PROGRAM = "this target runs one program without a shell: write one command of plain words"
JOBS = frozenset({"jobs", "fg", "bg", "disown", "suspend"})
NO_JOBS = (
    "there is no job control here: each line runs to its end; stop it with Ctrl-C, "
    "or open a second session for what should run beside it"
)
NOT_TEXT = "the line is not valid UTF-8"


class Lines:
    """Judges and runs the lines of one session, one after another."""

    def __init__(
        self,
        client: Client,
        gate: Gate,
        target: SshTarget | CommandTarget,
        runner: Runner,
        parser: ShellParser,
        arguments: tuple[str, ...] = (),
        *,
        history: list[str] | None = None,
    ) -> None:
        self._arguments = {str(at): text for at, text in enumerate(arguments, 1)}
        self.client = client
        self.target = target
        self.place = Place()
        self.ahead = Ahead(client)
        self.asking = Asking(client, gate, lambda: datetime.now(UTC), self.ahead.keep)
        self.controls = Controls()
        self.gate = gate
        self.runner = runner
        self._parser = parser
        self._kept = Kept(self, history if history is not None else [])
        self.history = self._kept.history

    @property
    def status(self) -> int:
        """The last line's exit status, which `exit` repeats."""
        return self._kept.status

    @status.setter
    def status(self, status: int) -> None:
        self._kept.status = status

    def keep_ahead(self, keep: Callable[[bytes], object]) -> None:
        """Where keys go that are typed while a line waits for people."""
        self.asking.keep = keep

    async def arrive(self) -> None:
        """Ask where commands start, for sessions that have a place."""
        start = await self.runner.where()
        self.place = Place(start=start, cwd=start, home=await self.runner.home())

    def listen(self, *, resizes: bool = True) -> None:
        """From now on the client's signals and window changes reach what runs."""
        self.client.on_signal(self._signal)
        if resizes:
            self.client.on_resize(self.resized)

    async def line(self, text: str, *, stdin: Source | None) -> int:
        """Judge one complete text, and run it if it may: its exit status.

        A refusal was told and is in the gate; its code is the status. Raises Leave.
        """
        if self.target.shell == "patterns":
            return await self._pattern(text)
        node, why = self._read(text)
        if node == Sequence(()):
            return 0
        if node is not None:
            node = await self._at_home(node)
        canonical = text if node is None else emit(node)
        await self._find_out(canonical)
        statement = Statement(Language.SHELL, canonical, cwd=self.place.cwd)
        verdict = await self._verdict(statement, why)
        if verdict is None:
            return WITHDRAWN
        if verdict.answer is not Answer.ALLOW or node is None:
            return self.refusal_code
        kept = self._kept.match(node) if self.runner.has_shell else None
        if kept is not None:
            return await kept()
        return await self.run(self.place.wrap(canonical), stdin=stdin)

    @property
    def refusal_code(self) -> int:
        """The exit code that the last refusal is due."""
        return int(self.gate.refusal_code or ExitCode.DENIED)

    def unfinished(self, text: str) -> str | None:
        """What a text still needs (see `ShellParser.unfinished`), or None."""
        return None if self.target.shell == "patterns" else self._parser.unfinished(text)

    def script(self, text: str) -> tuple[str, ...] | None:
        """The arguments of the script that this command would read from its input, if it would."""
        node, why = self._read(text) if self.runner.has_shell else (None, "")
        return arguments_of(node) if node is not None and not why else None

    async def refuse_bytes(self, data: bytes) -> int:
        """Refuse what is not text at all."""
        statement = Statement(Language.SHELL, data.decode("ascii", "backslashreplace"))
        verdict = Verdict(Answer.DENY, "grammar", NOT_TEXT, unparsable=True)
        await self.asking.refused(statement, self.gate.refuse(statement, verdict))
        return self.refusal_code

    def _read(self, text: str) -> tuple[Node | None, str]:
        """The tree of what we can judge and emit, or None and why not."""
        try:
            known = self.place.known | self._arguments | {STATUS: str(self.status)}
            node = build(self._parser(text), known=known)
            _check_kept(node)
        except (Refused, Unparsable) as error:
            return None, str(error)
        if not self.runner.has_shell and not _is_plain(node):
            return node, ONE_PROGRAM
        return node, NO_JOBS if _is_job_control(node) else ""

    async def _at_home(self, node: Node) -> Node:
        """With the home directory written out, where the target tells it."""
        if not self.runner.has_shell or at_home(node, "/home") == node:
            return node
        if self.place.cwd is None:
            await self.arrive()
        return node if self.place.home is None else at_home(node, self.place.home)

    async def _find_out(self, canonical: str) -> None:
        """Where it would run, if that makes a difference and nobody asked yet."""
        if self.place.cwd is None and self.runner.has_shell and self._depends_on_place(canonical):
            await self.arrive()

    def _depends_on_place(self, text: str) -> bool:
        try:
            tree: Mapping[str, Any] = self._parser(text)
            here, there = (facts(tree, text, cwd, parse=self._parser) for cwd in (None, "/a/b"))
        except Unparsable:
            return False
        return here != there

    async def _verdict(self, statement: Statement, why: str) -> Verdict | None:
        """The answer; what cannot be run as judged is refused whatever the rules say."""
        if why in (ONE_PROGRAM, NO_JOBS):
            return await self._refused(statement, why)
        verdict = await self.asking.ask(statement)
        if verdict is not None and verdict.answer is Answer.ALLOW and why:
            return await self._refused(statement, why)
        return verdict

    async def _refused(
        self, statement: Statement, why: str, *, unparsable: bool = False
    ) -> Verdict:
        denied = Verdict(Answer.DENY, "grammar", why, unparsable=unparsable)
        verdict = self.gate.refuse(statement, denied)
        await self.asking.refused(statement, verdict)
        return verdict

    async def _pattern(self, text: str) -> int:
        """A line in a language that we do not know: judged by patterns on its text."""
        text = text.strip("\n")
        if not text.strip():
            return 0
        statement = Statement(Language.TEXT, text)
        try:
            check_text(text)
        except Unparsable as error:
            await self._refused(statement, str(error), unparsable=True)
            return self.refusal_code
        if "\n" in text:
            await self._refused(statement, "one line at a time")
            return self.refusal_code
        verdict = await self.asking.ask(statement)
        if verdict is None:
            return WITHDRAWN
        if verdict.answer is not Answer.ALLOW:
            return self.refusal_code
        return await self.run(text, stdin=None)

    async def run(self, command: str, *, stdin: Source | None) -> int:
        """Run what was judged; its output goes back through the gate."""
        terminal = self.client.terminal
        person = terminal is not None
        out = Outlet(self.gate.stream(interactive=person), self.client.write)
        error = Outlet(self.gate.stream(interactive=person), self.client.write_error)
        with one_error():
            async with asyncio.TaskGroup() as group:
                quiet = [
                    group.create_task(each.release_when_quiet()) for each in (out, error) if person
                ]
                try:
                    status = await self.runner.run(
                        command,
                        stdin=stdin,
                        stdout=out,
                        stderr=error,
                        terminal=terminal,
                        controls=self.controls,
                    )
                finally:
                    for task in quiet:
                        task.cancel()
        await out.finish()
        await error.finish()
        return status

    def resized(self, terminal: Terminal) -> None:
        """The client's window changed: record it, and tell the program that runs."""
        self.gate.resized(terminal.columns, terminal.rows)
        self.controls.resize(terminal)

    def _signal(self, name: str) -> None:
        if not self.asking.withdraw():
            self.controls.signal(name)


def _check_kept(node: Node) -> None:
    """A variable with a value that only the target knows is gone with the shell of its line."""
    if isinstance(node, Assign) and any(word.literal is None for _, word in node.variables):
        raise Refused("this assignment alone", "its value ends with the line; go on after a ;")


def _is_job_control(node: Node) -> bool:
    return isinstance(node, Simple) and bool(node.words) and node.words[0].literal in JOBS


def _is_plain(node: Node) -> bool:
    """One command of literal words, without redirections: what a single program can be given."""
    return (
        isinstance(node, Simple)
        and bool(node.words)
        and not node.redirects
        and not node.variables
        and all(word.literal is not None for word in node.words)
    )
