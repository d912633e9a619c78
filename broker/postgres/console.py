"""psql without a person: one command, or a script on standard input. With one: `interactive`.

Both give psql one line after another and stop at the first error or refusal. psql's own lexer says
where statements begin; nothing here looks for semicolons or quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from broker.console.told import telling_to
from broker.errors import Denied, ExitCode, UsageError
from broker.model import Answer, Language, Statement
from broker.policy.judge import is_read
from broker.postgres import metacommands, options
from broker.postgres.delivery import Delivery, refuse
from broker.postgres.interactive import run_interactive
from broker.postgres.prompt import Lexer
from broker.postgres.psql import PsqlEnded

if TYPE_CHECKING:
    from broker.console.client import Client
    from broker.gate import Gate
    from broker.postgres.prompt import PromptState
    from broker.postgres.psql import Psql

__all__ = ["run_command", "run_interactive", "run_script"]

CLOSING = "\n;"  # ends a text that has no semicolon; the relay takes it off again
COMMAND_FAILED, SCRIPT_FAILED = 1, 3  # as psql itself exits
LINE_LIMIT = 1024 * 1024
_OPEN = {
    "'": "an open quote",
    '"': "an open quote",
    "$": "an open quote",
    "(": "an open parenthesis",
    "*": "an open comment",
}


async def run_command(client: Client, gate: Gate, psql: Psql, command: str) -> int:
    """One SQL text, or psql with its options; the exit code."""
    request = options.parse(command)
    batch = _Batch(client, gate, psql, failed=COMMAND_FAILED)
    if not request.statements:
        batch.failed = SCRIPT_FAILED
    async with telling_to(gate, client):
        return await batch.run(request)


async def run_script(client: Client, gate: Gate, psql: Psql) -> int:
    """Statements on standard input, each sent as soon as it is read; the exit code."""
    batch = _Batch(client, gate, psql, failed=SCRIPT_FAILED)
    async with telling_to(gate, client):
        return await batch.run(options.PsqlRequest(()))


class _Stop(Exception):
    """Nothing more is to be run; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class _Batch:
    """Lines given to psql until one fails."""

    def __init__(self, client: Client, gate: Gate, psql: Psql, *, failed: int) -> None:
        self.failed = failed
        self._client = client
        self._gate = gate
        self._psql = psql
        self._delivery = Delivery(client, gate)
        self._input = _Lines(client)

    async def run(self, request: options.PsqlRequest) -> int:
        """Everything asked for, to its exit code."""
        self._client.on_signal(lambda name: self._psql.interrupt() if name == "INT" else None)
        try:
            async with self._delivery.whole():
                try:
                    await self._set_up(request.settings)
                    await self._all(request.statements)
                except _Stop as stop:
                    return stop.code
                except PsqlEnded as ended:  # `quit` and `exit` are psql's own words
                    if ended.status != 0:
                        raise
                return ExitCode.OK
        finally:
            self._client.on_signal(None)

    async def _set_up(self, settings: tuple[str, ...]) -> None:
        for line in ("\\set ON_ERROR_STOP on", *settings):
            await self._psql.run_meta(line, output=_nothing, error=self._delivery.error)

    async def _all(self, statements: tuple[str, ...]) -> None:
        if not statements:
            await self._from_input()
            await self._finish("the script")
        for text in statements:
            self._foresee(text)
            for line in text.split("\n"):
                await self._line(line.removesuffix("\r"))
            await self._finish(text)

    def _foresee(self, text: str) -> None:
        """A text of which the rules refuse any part is refused whole, before its first part runs.

        What cannot be parsed as a whole may still be psql's own (a meta-command, a COPY's data):
        that is judged as psql sends it, and so is a text that takes long to read.
        """
        if not is_read(text):
            return
        statement = Statement(Language.SQL, text)
        verdict = self._gate.foresee(statement)
        if verdict.answer is Answer.DENY and not verdict.unparsable:
            self._gate.refuse(statement, verdict)
            raise _Stop(self._gate.refusal_code or ExitCode.DENIED)

    async def _from_input(self, *, copy: bool = False) -> None:
        """Lines of standard input to its end; with `copy`, only the data of one COPY."""
        while (line := await self._next()) is not None:
            await self._line(line)
            if copy and self._psql.state.lexer is not Lexer.COPY:
                return
        if self._psql.state.lexer is Lexer.COPY:
            await self._line("\\.")

    async def _next(self) -> str | None:
        raw = await self._input.next()
        if raw is None:
            return None
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("utf-8", "replace")
            self._refuse(text, "it is not UTF-8", "encoding", unparsable=True)
        in_data = self._psql.state.lexer is Lexer.COPY  # there, a carriage return is data
        return line if in_data else line.removesuffix("\r")

    async def _line(self, line: str) -> None:
        """One line through psql; _Stop when nothing after it may run."""
        before = self._gate.refusal
        state = await self._through_psql(line)
        if state.refused_meta:
            why = "a meta-command must be the whole line, from the list that \\? would show here"
            self._refuse(line, why, metacommands.RULE)
        if self._gate.refusal is not before:
            raise _Stop(self._gate.refusal_code or ExitCode.DENIED)
        if state.failed:
            raise _Stop(self.failed)

    async def _through_psql(self, line: str) -> PromptState:
        output, error = self._delivery.output, self._delivery.error
        try:
            if self._psql.state.lexer is Lexer.READY and metacommands.is_meta(line):
                command = metacommands.parse(line)
                if command.quits:
                    raise _Stop(ExitCode.OK)
                return await self._psql.run_meta(command.line, output=output, error=error)
            return await self._psql.send(line, output=output, error=error)
        except Denied as denied:
            self._refuse(line, str(denied), metacommands.RULE)
        except UsageError as wrong:
            self._refuse(line, str(wrong), "console")

    async def _finish(self, text: str) -> None:
        """The end of a text: close its last statement, or say what is still open."""
        if self._psql.state.lexer is Lexer.CONTINUED and self._psql.state.open == "-":
            await self._line(CLOSING.lstrip())
        if self._psql.state.lexer is Lexer.COPY:  # its data is what is left of the input
            await self._from_input(copy=True)
        state = self._psql.state
        if state.lexer is not Lexer.READY:
            what = _OPEN.get(state.open, "an unfinished statement")
            self._refuse(text, f"it ends with {what}", "grammar", unparsable=True)

    def _refuse(self, text: str, why: str, rule: str, *, unparsable: bool = False) -> NoReturn:
        """Put a refusal of our own on the record, and stop."""
        refuse(self._gate, text, why, rule, unparsable=unparsable)
        raise _Stop(self._gate.refusal_code or ExitCode.DENIED)


class _Lines:
    """Standard input, line by line, as it comes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = bytearray()
        self._ended = False

    async def next(self) -> bytes | None:
        """The next line without its line end; None after the last."""
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0 and not self._ended:
            searched = len(self._held)
            if searched > LINE_LIMIT:
                msg = f"a line may not be longer than {LINE_LIMIT} bytes"
                raise UsageError(msg)
            data = await self._client.read()
            self._ended = not data
            self._held += data
        if end < 0 and not self._held:
            return None
        size = end + 1 if end >= 0 else len(self._held)
        line = bytes(self._held[:size])
        del self._held[:size]
        return line.removesuffix(b"\n")


async def _nothing(_data: bytes) -> None:
    """What psql says about its settings."""
