"""Sockets around `wire.conversation`: one client, one target, and the gate between them.

Three kinds of tasks share one conversation: one reads the client, one the target, and one waits
for people when they are asked. What the conversation wants done is done at once and in order, so
that no two tasks can get in each other's way; only the waiting for a slow peer is left to the
readers. A peer that does not take what it is sent is waited for before more is read for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from broker.console import telling
from broker.errors import Denied, EvidenceFailure, InterlockError, ProtocolError, TargetUnreachable
from broker.model import Answer, Impact
from broker.postgres.guard import GuardedMask
from broker.postgres.startup import greet, welcome
from broker.wire import notices, pg_dump
from broker.wire.actions import (
    CancelUpstream,
    Close,
    Deliver,
    Judge,
    Refuse,
    Settled,
    Step,
    ToServer,
    Undo,
    Withdraw,
)
from broker.wire.conversation import Conversation
from broker.wire.startup import Cancel

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.gate import Gate
    from broker.model import Facts, Identity, Statement, Verdict
    from broker.ports import Clock
    from broker.postgres.cancel import Cancels
    from broker.postgres.lookup import Watch
    from broker.postgres.startup import Duplex
    from broker.postgres.survey import Survey
    from broker.postgres.upstream import Upstream
    from broker.wire.actions import Action
    from broker.wire.rows import RowMask
    from broker.wire.startup import Hello, Startup

READ_SIZE = 65536
CLIENT_READ_SIZE = 16384  # of small messages, each of which takes its time
TURN_SECONDS = 0.005  # after which one session lets the others in between


class _Over(Exception):
    """The relay ends; `error` says why, or is None when the client simply left."""

    def __init__(self, error: InterlockError | None = None) -> None:
        super().__init__()
        self.error = error


async def relay(  # noqa: PLR0913 - the one place where a session's parts meet
    client: Duplex,
    upstream: Upstream,
    gate: Gate,
    *,
    mask: RowMask,
    cancels: Cancels,
    identity: Identity,
    transcribe: bool,
    tainted: Callable[[Facts], bool] = lambda _: False,
    survey: Survey | None = None,
    hello: Hello | None = None,
    closing: bytes = b"",
    marker: bytes = b"",
    watch: Watch | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> None:
    """Relay until one side ends; then both are closed.

    A prepared statement that would be reviewed is reviewed when it runs, with its values. `hello`
    is given when the caller has read the client's start-up itself (`startup.greet`), `closing`
    when the client is a console of ours that adds it to the texts it was given, and `marker` when
    it has a secret that no text may hold. `watch` keeps the target's catalogue fresh for the judge.

    Returns when the client left. Raises what ended it otherwise, after telling the client:
    EvidenceFailure, TargetUnreachable, ProtocolError, Denied (a pinned setting was changed).
    """
    try:
        hello = hello or await greet(client)
        if isinstance(hello, Cancel):
            await cancels.cancel(hello.key, identity)
        elif hello is not None:
            masked = GuardedMask(gate, mask)
            running = _Relay(client, upstream, gate, masked, clock, watch, survey)
            try:
                await running.start(
                    hello, transcribe=transcribe, tainted=tainted, closing=closing, marker=marker
                )
            except InterlockError as error:
                client.write(notices.fatal(_code(error), f"interlock: {error}"))
                raise
            key = cancels.register(identity, running.cancel)
            try:
                await running.run(key)
            finally:
                cancels.remove(key)
    finally:
        upstream.abort()
        client.close()


class _Relay:
    """One session under way."""

    def __init__(
        self,
        client: Duplex,
        upstream: Upstream,
        gate: Gate,
        mask: GuardedMask,
        clock: Clock,
        watch: Watch | None,
        survey: Survey | None,
    ) -> None:
        self._watch = watch
        self._client = client
        self._upstream = upstream
        self._gate = gate
        self._mask = mask
        self._clock = clock
        self._survey = survey
        self._tasks = asyncio.TaskGroup()
        self._asking: asyncio.Task[None] | None = None
        self._hungry = asyncio.Event()
        self._cancel = asyncio.Event()
        self._conversation: Conversation
        self._ended = False
        self._for_server: list[bytes] = []
        self._for_client: list[bytes] = []

    async def start(
        self,
        hello: Startup,
        *,
        transcribe: bool,
        tainted: Callable[[Facts], bool],
        closing: bytes,
        marker: bytes,
    ) -> None:
        """Carry the client's harmless settings over, then begin to listen."""
        for name, value in hello.settings.items():
            await self._upstream.query(f"SET {name} TO '{value}'")
        if self._upstream.leftover():
            msg = "the target sent more than it was asked for"
            raise ProtocolError(msg)
        self._conversation = Conversation(
            self._mask,
            tainted=tainted,
            say=telling.refusal,
            settings=self._upstream.parameters,
            dbname=self._upstream.target.dbname if transcribe else None,
            closing=closing,
            marker=marker,
            dumping=hello.program == pg_dump.NAME,
        )

    async def run(self, key: bytes) -> None:
        """Until one side ends."""
        self._client.write(welcome(self._upstream.parameters, key))
        error: InterlockError | None = None
        try:
            error = await self._until_over()
        except asyncio.CancelledError as ended:  # whoever ends it may say why
            why = str(ended) or "interlock: this session was ended"
            self._client.write(notices.fatal(notices.ENDED, why))
            raise
        finally:
            await self._end(error)
        if error is not None:
            raise error

    async def _until_over(self) -> InterlockError | None:
        error: InterlockError | None = None
        try:
            async with self._tasks:
                self._tasks.create_task(self._read_client())
                self._tasks.create_task(self._read_server())
                self._tasks.create_task(self._serve_cancels())
        except* _Over as ends:
            error = _worst(ends)
        except* InterlockError as failed:
            error = _worst(failed)
        return error

    async def _end(self, error: InterlockError | None) -> None:
        """Tell the client, and leave nothing running behind."""
        self._ended = True
        if isinstance(error, EvidenceFailure):
            self._upstream.abort()
        if error is not None and not self._conversation.dying:
            self._client.write(notices.fatal(_code(error), f"interlock: {error}"))
        if self._conversation.busy:
            self._upstream.abort()
            await self._upstream.cancel()
        else:
            await self._upstream.close()

    # -- reading ---------------------------------------------------------------------------------

    async def _read_client(self) -> None:
        while True:
            while not self._conversation.hungry:
                self._hungry.clear()
                await self._hungry.wait()
            data = await self._client.read(CLIENT_READ_SIZE)
            if not data:
                raise _Over
            began = time.perf_counter()
            self._do(self._conversation.from_client(data))
            await self._drain(self._upstream.writer)
            await _pause(began)

    async def _read_server(self) -> None:
        lost = f"the connection to {self._upstream.target.name} was lost"
        while True:
            try:
                data = await self._upstream.reader.read(READ_SIZE)
            except OSError as error:
                raise TargetUnreachable(lost) from error
            if not data:
                raise TargetUnreachable(lost)
            began = time.perf_counter()
            self._do(self._conversation.from_server(data))
            await self._drain(self._client)
            await _pause(began)

    async def _drain(self, taker: Duplex | asyncio.StreamWriter) -> None:
        try:
            await taker.drain()
        except OSError as error:  # the reader of that side says what it means
            if taker is self._client:
                raise _Over from error

    # -- doing -----------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        """Do all of it, in order, without letting any other task in between.

        An answer may lead to more: that comes next, until nothing is left or people are asked.
        """
        began, todo = time.perf_counter(), deque(actions)
        try:
            while todo and not self._ended:
                action = todo.popleft()
                if type(action) is Judge and time.perf_counter() - began > TURN_SECONDS:
                    self._asking = self._tasks.create_task(self._judge_in_turn(action))
                elif more := self._act(action):
                    todo.extendleft(reversed(more))
        finally:  # what went well before a failure was judged, or masked and recorded
            self._flush()
        if self._conversation.hungry:
            self._hungry.set()

    def _act(self, action: Action) -> list[Action]:
        match action:
            case ToServer():
                self._for_server.append(action.data)
            case Deliver():
                frames = self._gate.rows(action.frames, action.transcript)
                if frames:
                    self._for_client.append(frames)
            case Judge():
                return self._judge(action)
            case Refuse() | Undo():
                return self._refused(action)
            case Withdraw():
                self._withdraw()
            case CancelUpstream():
                self._tasks.create_task(self._cancel_upstream())
            case Settled():
                self._settled(action)
            case Close():
                raise _Over(ProtocolError(action.error) if action.error else None)
            case never:
                assert_never(never)
        return []

    def _settled(self, settled: Settled) -> None:
        self._gate.count(self._mask.take_counts())
        if self._watch is not None and settled.idle and not self._conversation.busy:
            self._watch.settled()

    def _refused(self, action: Refuse | Undo) -> list[Action]:
        verdict = self._gate.refuse(action.statement, action.verdict)
        if isinstance(action, Undo):
            return []  # it goes on by itself
        return self._conversation.answer(action.ticket, verdict)

    def _flush(self) -> None:
        """Send what was let through: one write for all that one read led to."""
        if self._for_server:
            self._upstream.writer.write(b"".join(self._for_server))
            self._for_server.clear()
        if self._for_client:
            self._client.write(b"".join(self._for_client))
            self._for_client.clear()

    def _judge(self, asked: Judge) -> list[Action]:
        """The verdict is there at once, unless the catalogue has to be looked at first."""
        if self._watch is None or self._watch.ready(asked.statement):
            return self._decide(asked)
        self._asking = self._tasks.create_task(self._look_first(asked, self._watch))
        return []

    async def _look_first(self, asked: Judge, watch: Watch) -> None:
        await watch.before(asked.statement)
        if self._conversation.waiting == asked.ticket:
            self._do(self._decide(asked))

    def _decide(self, asked: Judge) -> list[Action]:
        """The judge's answer; people are waited for by a task."""
        verdict = self._gate.decide(asked.statement)
        if verdict.answer is not Answer.REVIEW:
            if self._watch is not None:
                self._watch.after(verdict, prepared=asked.step is Step.PARSE)
            return self._conversation.answer(asked.ticket, verdict)
        if asked.step is Step.PARSE:
            return self._conversation.defer(asked.ticket)
        if self._conversation.failed and "transaction" not in verdict.facts.actions:
            why = "its transaction has failed, so nobody was asked"
            refusal = replace(verdict, answer=Answer.DENY, reason=why)
            self._gate.refuse(asked.statement, refusal)
            return self._conversation.aborted(asked.ticket)
        self._asking = self._tasks.create_task(self._review(asked, verdict))
        return []

    async def _judge_in_turn(self, asked: Judge) -> None:
        """One client's long pipeline lets the others in between."""
        if self._conversation.waiting == asked.ticket:
            self._do(self._judge(asked))

    async def _review(self, asked: Judge, verdict: Verdict) -> None:
        ticket = asked.ticket

        def notice(verdict: Verdict, review: str, expires: datetime) -> None:
            text = telling.waiting(verdict, review, expires, self._clock())
            self._do(self._conversation.notice(ticket, text))

        answer = await self._gate.review(asked.statement, verdict, notice, self._surveyed)
        if self._watch is not None and answer.answer is Answer.ALLOW:
            await self._watch.before(asked.statement)
            answer = self._still_meant(asked.statement, answer)
            self._watch.after(answer, prepared=asked.step is Step.BIND)
        self._do(self._conversation.answer(ticket, answer))

    def _still_meant(self, statement: Statement, verdict: Verdict) -> Verdict:
        """What people approved, unless its names came to mean something else meanwhile."""
        if self._gate.foresee(statement).facts.parts == verdict.facts.parts:
            return verdict
        why = "what it would touch changed while it waited; ask again"
        changed = replace(verdict, answer=Answer.DENY, reason=why, expired=True)
        return self._gate.refuse(statement, changed)

    async def _surveyed(self, statement: Statement, verdict: Verdict) -> Verdict:
        situation = self._conversation.situation()
        if self._survey is None:
            return replace(verdict, impact=Impact(parameters=situation.parameters))
        return await self._survey(statement, verdict, situation)

    def _withdraw(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    async def _cancel_upstream(self) -> None:
        await self._upstream.cancel()
        self._do(self._conversation.cancelled())

    async def cancel(self) -> None:
        """The client's CancelRequest, which comes by another connection."""
        self._cancel.set()

    async def _serve_cancels(self) -> None:
        """Withdraw what waits, or stop what runs."""
        while True:
            await self._cancel.wait()
            self._cancel.clear()
            ticket = self._conversation.waiting
            if ticket is None:
                await self._upstream.cancel()
            else:
                self._withdraw()
                self._do(self._conversation.cancel(ticket))


async def _pause(began: float) -> None:
    """Let the others in between: there may be more to read at once, again and again."""
    if time.perf_counter() - began > TURN_SECONDS:
        await asyncio.sleep(0)


def _worst(group: BaseExceptionGroup[BaseException]) -> InterlockError | None:
    """The failure that counts: of evidence before any other, and any before a goodbye."""
    found: list[InterlockError] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            inner = _worst(error)
        else:
            inner = error.error if isinstance(error, _Over) else None
            inner = error if isinstance(error, InterlockError) else inner
        if inner is not None:
            found.append(inner)
    return next((e for e in found if isinstance(e, EvidenceFailure)), found[0] if found else None)


def _code(error: InterlockError) -> str:
    if isinstance(error, TargetUnreachable):
        return notices.LOST
    if isinstance(error, EvidenceFailure):
        return notices.FAULT
    return notices.ENDED if isinstance(error, Denied) else notices.PROTOCOL
