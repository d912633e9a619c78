"""psql with a person: the broker's line editor in front, psql's lexer behind, Ctrl-C between."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from broker.console import colours
from broker.console.completing import recorded_by
from broker.console.editor import Editor, Interrupted
from broker.console.pager import Pager
from broker.console.telling import PREFIX
from broker.console.told import telling_to
from broker.errors import Denied, EvidenceFailure, ExitCode, UsageError
from broker.postgres import metacommands, typed
from broker.postgres.completing import Completer, permitted_by
from broker.postgres.delivery import Delivery, refuse
from broker.postgres.known import Names
from broker.postgres.prompt import Lexer
from broker.postgres.psql import PsqlEnded

if TYPE_CHECKING:
    from broker.console.client import Client, Terminal
    from broker.console.colours import Piece
    from broker.gate import Gate
    from broker.postgres.prompt import PromptState
    from broker.postgres.psql import Psql

CTRL_C = b"\x03"
AHEAD_LIMIT = 64 * 1024  # bytes typed while a statement runs


async def run_interactive(
    client: Client,
    gate: Gate,
    psql: Psql,
    name: str,
    *,
    history: list[str] | None = None,
    names: Names | None = None,
) -> int:
    """An interactive session under the target's name; its exit code.

    `history` is what this identity typed here before; `names` is what may be completed, if the
    rules permit it.
    """
    async with telling_to(gate, client):
        conversation = _Conversation(client, gate, psql, name, history, names or Names())
        return await conversation.run()


class _Conversation:
    """One person's session: a text is asked for, run line by line, and so on."""

    def __init__(
        self,
        client: Client,
        gate: Gate,
        psql: Psql,
        name: str,
        history: list[str] | None,
        names: Names,
    ) -> None:
        self._client = client
        self._gate = gate
        self._psql = psql
        self._name = name
        self._pager = Pager(client, gate)
        self._delivery = Delivery(client, gate, self._pager)
        self._editor = Editor(
            client,
            is_complete=self._is_complete,
            history=history,
            complete=Completer(names, permitted_by(gate)),
            paint=self._painted,
            shown=recorded_by(gate),
            on_resize=self._resized,
        )
        self._stopped = False  # Ctrl-C while a text runs: the rest of it is not run
        self._cut = False  # more was typed ahead than is kept
        self._rest = ""  # what was not run after a refusal or an error: the next prompt shows it
        self._gone: ConnectionError | None = None

    async def run(self) -> int:
        if self._client.terminal is not None:
            self._psql.resize(self._client.terminal.columns, self._client.terminal.rows)
        self._client.on_signal(lambda name: self._interrupt() if name == "INT" else None)
        try:
            while (text := await self._text()) is not None:
                self._record(text)
                if text.strip() and not await self._accepted(text):
                    break
        except PsqlEnded as ended:  # `quit` and `exit` are psql's own words
            if ended.status != 0:
                raise
        finally:
            self._client.on_signal(None)
            self._client.on_resize(None)
        return ExitCode.OK

    def _record(self, text: str) -> None:
        """What was typed, and for whoever plays it what the screen showed: prompts and echo."""
        self._gate.typed(text)
        self._gate.said(self._prompt() + text.replace("\n", f"\r\n{self._name}-> ") + "\r\n")

    # -- asking --------------------------------------------------------------------------------

    async def _text(self) -> str | None:
        """The next text typed; None at the end. Raises what ended the connection meanwhile."""
        while True:
            try:
                return await self._typed()
            except Interrupted:
                await self._psql.abandon()

    async def _typed(self) -> str | None:
        async with asyncio.TaskGroup() as group:
            typing = group.create_task(self._outcome())
            lost = group.create_task(self._psql.ended())
            await asyncio.wait({typing, lost}, return_when=asyncio.FIRST_COMPLETED)
            typing.cancel()
            lost.cancel()
        if typing.cancelled():
            await self._psql.check_alive()
            return None
        outcome = typing.result()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _outcome(self) -> str | Interrupted | ConnectionError | None:
        """The editor's answer as a value, since an exception would end the whole group."""
        try:
            return await self._editor.line(self._prompt(), continuation=f"{self._name}-> ")
        except (Interrupted, ConnectionError) as error:
            return error

    def _prompt(self) -> str:
        state = self._psql.state
        if state.lexer is Lexer.COPY:
            return ">> "
        if state.lexer is Lexer.CONTINUED:
            return f"{self._name}{state.open or '-'}> "
        return f"{self._name}{state.transaction or '='}> "

    def _is_complete(self, text: str) -> bool:
        """Psql's lexer is the truth: once it is inside a statement, each line goes to it."""
        return self._psql.state.lexer is not Lexer.READY or typed.is_complete(text)

    def _painted(self, text: str) -> list[list[Piece]]:
        """Data of a COPY is no SQL."""
        return colours.plain(text) if self._psql.state.lexer is Lexer.COPY else colours.sql(text)

    # -- running -------------------------------------------------------------------------------

    async def _accepted(self, text: str) -> bool:
        """Run a text line by line, keys kept for later; False when the session is to end."""
        self._stopped = go_on = False
        failure: Exception | None = None  # raised outside, where no group wraps it
        async with asyncio.TaskGroup() as group:
            keys = group.create_task(self._keys())
            try:
                async with self._delivery.whole():
                    go_on = await self._lines(text)
            except Exception as error:  # noqa: BLE001 - raised again below
                failure = error
            finally:
                keys.cancel()
        if failure is None:
            failure = self._gone
        if failure is not None:
            raise failure
        if self._cut:
            self._cut = False
            await self._say(f"{PREFIX}too much was typed ahead: its end was dropped")
        return go_on

    async def _lines(self, text: str) -> bool:
        """One line after another; one that is refused or fails holds up those behind it."""
        lines = text.split("\n")
        for at, line in enumerate(lines):
            refusal, self._delivery.failed = self._gate.refusal, False
            if not await self._line(line):
                return False
            await self._delivery.finish()
            if self._stopped:
                await self._psql.abandon()
                break
            if self._gate.refusal is not refusal or self._delivery.failed:
                await self._hold("\n".join(lines[at + 1 :]))
                break
        return True

    async def _hold(self, rest: str) -> None:
        """Do not run the rest of a text; it is at the next prompt, to be looked at again."""
        if not rest.strip():
            return
        if self._psql.state.lexer is not Lexer.READY:
            await self._psql.abandon()
        self._rest = rest
        await self._say(f"{PREFIX}the rest of what you entered was not run; here it is again")

    async def _say(self, sentence: str) -> None:
        await self._client.write(self._gate.said(f"{sentence}\r\n"))

    async def _line(self, line: str) -> bool:
        """One line; False when it quits. A refused line does not end the session."""
        try:
            if self._psql.state.lexer is Lexer.READY and metacommands.is_meta(line):
                command = metacommands.parse(line)
                if command.quits:
                    return False
                if command.line == "\\?":
                    await self._help()
                else:
                    await self._meta(command.line)
            else:
                await self._sql(line)
        except Denied as denied:
            self._refuse(line, str(denied), metacommands.RULE)
        except UsageError as error:
            self._refuse(line, str(error), "console")
        return True

    async def _help(self) -> None:
        await self._say(metacommands.help_text().replace("\n", "\r\n"))

    async def _meta(self, line: str) -> PromptState:
        delivery = self._delivery
        return await self._psql.run_meta(
            line, output=delivery.output, error=delivery.error, idle=delivery.idle
        )

    async def _sql(self, line: str) -> None:
        delivery = self._delivery
        state = await self._psql.send(
            line, output=delivery.output, error=delivery.error, idle=delivery.idle
        )
        if state.refused_meta:
            why = "a meta-command must be a line of its own"
            self._refuse(line, why, metacommands.RULE)

    def _refuse(self, line: str, why: str, rule: str) -> None:
        refuse(self._gate, line, why, rule)

    async def _keys(self) -> None:
        """Keys typed while a text runs: Ctrl-C cancels it, the pager's are its own, and the rest
        is shown at the next prompt.
        """
        ahead = b""
        try:
            while data := await self._client.read():
                if CTRL_C in data:
                    data = data[data.rindex(CTRL_C) + 1 :]
                    ahead = b""
                    self._interrupt()
                if self._pager.waiting:
                    self._pager.feed(data)
                else:
                    ahead = (ahead + data)[: AHEAD_LIMIT + 1]
            self._pager.leave()  # there will be no more keys
        except ConnectionError as error:
            self._gone = error
            self._interrupt()
        finally:
            self._held(ahead + self._pager.unread())

    def _held(self, ahead: bytes) -> None:
        """What waits for the next prompt: first what was not run, then what was typed meanwhile."""
        rest, self._rest = self._rest.encode(), ""
        joint = b"\n" if rest and ahead else b""
        if not self._editor.type_ahead(rest + joint + ahead):
            self._cut = True

    def _interrupt(self) -> None:
        self._stopped = True
        self._pager.leave()
        self._psql.interrupt()

    def _resized(self, terminal: Terminal) -> None:
        self._psql.resize(terminal.columns, terminal.rows)
        self._pager.resized()
        with contextlib.suppress(EvidenceFailure):  # the gate is shut now: its next user is told
            self._gate.resized(terminal.columns, terminal.rows)
