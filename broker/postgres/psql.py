"""Real psql behind our relay: in a sandbox, on a terminal, in restricted mode, one line at a time.

psql lives in ``\\restrict`` mode with a random key: it refuses every meta-command by itself, so
nothing here has to find a ``\\g |sh`` in the middle of a line. An allow-listed meta-command is run
between ``\\unrestrict`` and a new ``\\restrict``, only at a ready prompt, and restricted mode is
proven again afterwards. psql reaches only one socket, on which the relay answers; only psql's own
process may connect to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import struct
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from broker.errors import InterlockError, ProtocolError, TargetUnreachable, UsageError
from broker.postgres.program import ENVIRONMENT, Program
from broker.postgres.prompt import Lexer, PromptScanner, PromptState, settings
from broker.postgres.sinks import Until, Watch, nothing
from broker.postgres.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from broker.postgres.sandbox import Confined
    from broker.postgres.sinks import Write

    Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

__all__ = ["Program", "Psql", "PsqlEnded", "started"]

SOCKET = ".s.PGSQL.5432"
LINE_LIMIT = 1024 * 1024  # bytes; the relay's own bound on a statement is lower
QUIET_SECONDS = 0.03
READ_SECONDS = 0.05  # in which psql reads a line that was written to it
SETTLE_SECONDS = 10.0
START_SECONDS = 30.0
END_SECONDS = 0.5
CLOSE_SECONDS = 2.0


class PsqlEnded(InterlockError):
    """psql is gone; `status` is its exit status (negative: the signal)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"psql ended unexpectedly (status {status})")
        self.status = status


class Psql:
    """One running psql. Use `started`; then `send` lines one after another."""

    def __init__(
        self, program: Program, serve: Serve, group: asyncio.TaskGroup, nonce: str
    ) -> None:
        self.nonce = nonce  # a statement that contains it must be refused, without repeating it
        self.socket_path = Path()
        self.layers: tuple[str, ...] = ()
        self.missing_layers: tuple[str, ...] = ()
        self.state = PromptState(Lexer.READY)
        self._program = program
        self._serve = serve
        self._group = group
        self._key = secrets.token_hex(16)
        self._scanner = PromptScanner(self.nonce)
        self._terminal = Terminal()
        self._confined: Confined | None = None
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._known = asyncio.Event()  # set once psql's process id is
        self._met = False  # psql's own connection has come
        self._lost = asyncio.Event()
        self._failure: InterlockError | None = None
        self._busy = False  # between a line and its prompt; stays so when cancelled in between
        self._interruptible: float | None = None  # from when on, by the loop's clock
        self._interrupted = False

    @property
    def pid(self) -> int | None:
        """psql's process, once it runs."""
        return self._confined.process.pid if self._confined is not None else None

    # -- lines ---------------------------------------------------------------------------------

    async def send(
        self,
        line: str,
        *,
        output: Write,
        error: Write,
        idle: Callable[[], Awaitable[object]] | None = None,
    ) -> PromptState:
        """Give psql one line and pass on what it writes, until its next prompt.

        `idle` is called when it has been quiet for a moment. Raises PsqlEnded, or the error
        that ended the connection.
        """
        self._check(line)
        await self._settle()
        told = Watch(error)
        state = await self._exchange([line], output, told.write, idle=idle, interruptible=True)
        self.state = replace(state, refused_meta=told.seen)
        return self.state

    async def run_meta(
        self,
        line: str,
        *,
        output: Write,
        error: Write,
        idle: Callable[[], Awaitable[object]] | None = None,
    ) -> PromptState:
        """Run a meta-command that `metacommands` allowed; only at a ready prompt."""
        self._check(line)
        await self._settle()
        if self.state.lexer is not Lexer.READY:
            msg = "a meta-command must begin a new statement"
            raise UsageError(msg)
        self._busy = True
        await self._exchange([f"\\unrestrict {self._key}"], nothing, nothing)
        self._busy = True
        state = await self._exchange([line], output, error, idle=idle)
        await self._restrict()
        self.state = state
        return state

    def interrupt(self) -> None:
        """Cancel the statement that runs; nothing while none does.

        psql must have read the whole line, or it would take a part of it for another one.
        """
        if self._interruptible is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._interruptible:
            loop.call_at(self._interruptible, self.interrupt)
            return
        self._interrupted = True
        self._signal()

    async def abandon(self) -> PromptState:
        """Drop the half-typed statement, or the COPY, and come back to a ready prompt."""
        if self.state.lexer is not Lexer.READY:
            self._interrupted = True
            self._signal()
            self.state = await self._exchange([], nothing, nothing, idle=self._signal_again)
        await self._settle()
        return self.state

    async def _signal_again(self) -> bool:
        """Between its prompt and its reading, psql does not leave the input for a signal."""
        self._signal()
        return True

    def resize(self, columns: int, rows: int) -> None:
        """Tell psql the size of the person's terminal."""
        self._terminal.resize(columns, rows)

    async def ended(self) -> None:
        """Return when the connection behind psql is gone."""
        await self._lost.wait()

    # -- restricted mode -----------------------------------------------------------------------

    async def _restrict(self) -> None:
        """Enter restricted mode with a new key, and prove it: an `\\echo` must be refused."""
        self._key = secrets.token_hex(16)
        self._busy = True
        await self._exchange([f"\\restrict {self._key}"], nothing, nothing)
        told = Watch(nothing)
        self._busy = True
        await self._exchange(["\\echo"], nothing, told.write)
        if not told.seen:
            self._busy = True  # nothing more may be sent
            msg = "psql did not enter restricted mode"
            raise ProtocolError(msg)

    async def _barrier(self, lines: list[str]) -> None:
        """Run lines and drop all output until a random word of ours comes back, and its prompt."""
        token = secrets.token_hex(16)
        seen = Until(token.encode())
        self._busy = True
        await self._exchange([*lines, f"\\echo {token}"], seen.write, nothing, until=seen)

    async def _settle(self) -> None:
        """After an interrupt, prompts and lines may not pair up: meet psql anew."""
        if self._busy:
            raise self._failure or ProtocolError("psql was left in the middle of a line")
        if self._interrupted:
            transaction = self.state.transaction
            try:
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self._barrier([f"\\unrestrict {self._key}"])
                    await self._restrict()
            except TimeoutError:
                msg = "psql did not come back after an interrupt"
                raise ProtocolError(msg) from None
            self._interrupted = False
            self.state = PromptState(Lexer.READY, transaction=transaction)

    def _check(self, line: str) -> None:
        if "\n" in line or "\0" in line:
            msg = "a line may not contain a line end or a NUL"
            raise UsageError(msg)
        if len(line.encode("utf-8", "replace")) > LINE_LIMIT:
            msg = f"a line may not be longer than {LINE_LIMIT} bytes"
            raise UsageError(msg)
        if self.nonce in line or self._key in line:
            msg = "the line contains a secret of this session"
            raise UsageError(msg)

    # -- bytes ---------------------------------------------------------------------------------

    async def _exchange(
        self,
        lines: list[str],
        output: Write,
        error: Write,
        *,
        idle: Callable[[], Awaitable[object]] | None = None,
        until: Until | None = None,
        interruptible: bool = False,
    ) -> PromptState:
        """Write lines and read until a prompt (with `until`: the first one after its word)."""
        self._busy = True
        pending = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        quiet = idle is None
        try:
            while True:
                if pending:
                    pending = self._terminal.main.write(pending)
                    soon = asyncio.get_running_loop().time() + READ_SECONDS
                    self._interruptible = soon if interruptible else None
                errors, data = self._terminal.errors.take(), self._terminal.main.take()
                if errors:
                    await error(errors)
                if (prompt := await self._scan(data, output, until)) is not None:
                    if rest := self._terminal.errors.take():  # written before the prompt was
                        await error(rest)
                    self._busy = False
                    return prompt
                if data or errors:
                    quiet = idle is None
                    continue
                await self.check_alive()
                timeout = None if quiet else QUIET_SECONDS
                if not await self._terminal.wait(writing=bool(pending), timeout=timeout):
                    quiet = idle is None or not await idle()
        finally:
            self._interruptible = None

    async def _scan(self, data: bytes, output: Write, until: Until | None) -> PromptState | None:
        """Pass on output up to a prompt; with `until`, prompts before its word are dropped too."""
        text, prompt = self._scanner.feed(data)
        while True:
            if text:
                await output(text)
            if prompt is None or until is None or until.seen:
                return prompt
            text, prompt = self._scanner.feed(b"")

    async def check_alive(self) -> None:
        """Raise when psql or the connection behind it is gone."""
        if self._failure is not None:
            raise self._failure
        if self._confined is None or not (self._lost.is_set() or self._terminal.main.ended):
            return
        try:  # psql closes its connection when it ends by itself, just before it does
            async with asyncio.timeout(END_SECONDS):
                status = await self._confined.process.wait()
        except TimeoutError:
            msg = "the connection to the target was lost"
            raise TargetUnreachable(msg) from None
        raise PsqlEnded(status)

    def _signal(self) -> None:
        if self._confined is not None and self._confined.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._confined.process.send_signal(signal.SIGINT)

    # -- life ----------------------------------------------------------------------------------

    async def start(self, folder: Path) -> None:
        program = self._program
        owner = program.sandbox.owner
        path = self.socket_path = folder / SOCKET
        self._server = await asyncio.start_unix_server(self._accepted, path)
        path.chmod(0o600)
        if owner is not None:
            os.chown(path, *owner)
            os.chown(folder, *owner)
        try:
            self._confined = await program.sandbox.start(
                [*program.argv, program.conninfo(folder)],
                terminal=self._terminal.theirs,
                errors=self._terminal.their_errors,
                environment=ENVIRONMENT,
                read=program.read,
            )
        finally:
            self._terminal.handed_over()
        self._known.set()
        self.layers = self._confined.layers
        self.missing_layers = self._confined.missing
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._barrier([*settings(self.nonce), *program.settings])
                await self._restrict()
        except (PsqlEnded, TimeoutError) as error:
            if self._failure is not None:
                raise self._failure from error
            msg = "psql could not be started"
            raise InterlockError(msg) from error

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(self._group.create_task(self._connection(reader, writer)))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let the relay answer one connection: psql's session first, then its cancel requests."""
        main = False
        try:
            await self._known.wait()
            if self._confined is None or _peer(writer) != self._confined.process.pid:
                return  # another process of the same user: not for it
            main, self._met = not self._met, True
            await self._serve(reader, writer)
        except InterlockError as error:
            self._failure = error
            main = True  # whatever connection it was on, this session is over
        except ConnectionError:
            pass  # psql closed its end, or died: `check_alive` says so
        finally:
            writer.close()
            if main:
                self._lost.set()
                self._terminal.wake()

    async def close(self) -> None:
        """End psql, then what serves it."""
        if self._server is not None:
            self._server.close()
        if self._confined is not None:
            await self._confined.end()
        self._known.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        self._terminal.close()


@contextlib.asynccontextmanager
async def started(program: Program, serve: Serve, nonce: str = "") -> AsyncIterator[Psql]:
    """A psql at its first prompt, in restricted mode; `serve` answers its connections.

    `nonce` is an unguessable word that marks its prompts; one is made when none is given.
    """
    folder = Path(tempfile.mkdtemp(prefix="interlock-", dir=program.run_dir))  # 0700
    failure: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            psql = Psql(program, serve, group, nonce or secrets.token_hex(16))
            try:
                await psql.start(folder)
                yield psql
            except Exception as error:  # noqa: BLE001 - raised again below, out of the group
                failure = error
            finally:
                await psql.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if failure is not None:
        raise failure


def _peer(writer: asyncio.StreamWriter) -> int:
    """The process at the other end of a Unix socket."""
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("=iII", raw)[0]
    return pid
