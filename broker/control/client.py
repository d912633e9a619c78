"""The approver's end of the control channel: asks, waits for the answer, hears pushes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from broker.control import results
from broker.control.messages import (
    LINE_LIMIT,
    Changed,
    ClockNow,
    Refusal,
    Request,
    Result,
    decode_reply,
    encode_request,
)
from broker.control.results import Approval, Clock, DryRun, Hello, Impact, Page, Review, SessionLine
from broker.errors import ExitCode, InterlockError, ProtocolError

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

__all__ = [
    "Approval",
    "Changed",
    "Clock",
    "Control",
    "ControlClient",
    "ControlError",
    "DryRun",
    "Hello",
    "Impact",
    "LinkLost",
    "Page",
    "Push",
    "Refused",
    "Review",
    "SessionLine",
    "connected",
]

Push: TypeAlias = "Changed | Clock"

_T = TypeVar("_T")

PATIENCE = 20.0  # seconds to wait for an answer before the link counts as lost


class ControlError(InterlockError):
    """The broker did not do what was asked; `str(error)` is the sentence to show."""


class Refused(ControlError):
    """The broker's own refusal, in its own words: not yours to answer, too late, unknown."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = ExitCode(code) if code in set(ExitCode) else ExitCode.FAULT


class LinkLost(ControlError):
    """Nobody answers any more. Whether the last question was heard is not known."""

    code = ExitCode.TRY_LATER


class Control(Protocol):
    """What screens need of the broker. Every question raises ControlError."""

    async def hello(self) -> Hello:
        """Whom this channel is bound to, and the broker's clock."""

    async def pending(self) -> tuple[Review, ...]:
        """The reviews that wait, those of others and one's own."""

    async def show(self, review: str) -> Review:
        """One review, in any state."""

    async def approve(self, review: str, digest: str, reason: str = "") -> Review:
        """Say yes to exactly the bytes with this digest; gives the review as it is then."""

    async def deny(self, review: str, digest: str, reason: str = "") -> Review:
        """Say no; `reason` is what the person who asked will read."""

    async def dry_run(self, review: str) -> Review:
        """Have it run and rolled back; gives the review with what was found."""

    async def sessions(self) -> tuple[SessionLine, ...]:
        """The sessions that may be seen, newest first."""

    async def play(self, session: str, offset: int) -> Page:
        """A stretch of a session's recording."""

    def pushes(self) -> AsyncIterator[Push]:
        """What the broker tells unasked, until the link is lost. Repeats are told once."""


class ControlClient:
    """Implements Control over a pair of streams. `run` must be running for it to hear."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._last = 0
        self._lost = False
        # The newest push of each sort: a flood of them costs no memory.
        self._told: dict[str, Push] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Hear the broker until the link is lost; then nobody waits for it any longer."""
        try:
            while line := await self._reader.readline():
                self._hear(line)
        except (OSError, ValueError, ProtocolError):
            # A line that is too long or makes no sense: what follows cannot be trusted either.
            self._writer.close()
        finally:
            self._lose()

    async def hello(self) -> Hello:
        """See Control."""
        return await self._ask(results.hello, "hello")

    async def pending(self) -> tuple[Review, ...]:
        """See Control."""
        return await self._ask(results.reviews, "pending")

    async def show(self, review: str) -> Review:
        """See Control."""
        return await self._ask(results.review, "show", id=review)

    async def approve(self, review: str, digest: str, reason: str = "") -> Review:
        """See Control."""
        return await self._ask(results.review, "approve", id=review, digest=digest, reason=reason)

    async def deny(self, review: str, digest: str, reason: str = "") -> Review:
        """See Control."""
        return await self._ask(results.review, "deny", id=review, digest=digest, reason=reason)

    async def dry_run(self, review: str) -> Review:
        """See Control."""
        return await self._ask(results.review, "dry-run", id=review)

    async def sessions(self) -> tuple[SessionLine, ...]:
        """See Control."""
        return await self._ask(results.sessions, "sessions")

    async def play(self, session: str, offset: int) -> Page:
        """See Control."""
        return await self._ask(results.page, "play", session=session, offset=offset)

    async def pushes(self) -> AsyncIterator[Push]:
        """See Control."""
        while True:
            await self._news.wait()
            self._news.clear()
            told, self._told = self._told, {}
            for push in told.values():
                yield push
            if self._lost:
                return

    async def _ask(self, parse: Callable[[object], _T], do: str, **args: object) -> _T:
        if self._lost:
            raise LinkLost(_LOST)
        self._last += 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = future
        try:
            return parse(await self._answer(future, Request(self._last, do, args)))
        except ProtocolError as error:
            msg = f"the broker's answer to {do!r} makes no sense to this screen: {error}"
            raise Refused(msg, ExitCode.FAULT) from error

    async def _answer(self, future: asyncio.Future[object], request: Request) -> object:
        try:
            self._writer.write(encode_request(request))
            async with asyncio.timeout(self._patience):
                await self._writer.drain()
                return await future
        except (OSError, TimeoutError) as error:
            raise LinkLost(_LOST) from error
        finally:
            del self._waiting[request.id]
            if not future.cancel() and not future.cancelled():
                future.exception()  # looked at, so that asyncio does not complain of it

    def _hear(self, line: bytes) -> None:
        match decode_reply(line):
            case Result(id_, result):
                if (future := self._open(id_)) is not None:
                    future.set_result(result)
            case Refusal(id_, error, code):
                if (future := self._open(id_)) is not None:
                    future.set_exception(Refused(error, code))
            case Changed(what) as push:
                self._tell(f"changed {what}", push)
            case ClockNow(now):
                self._tell("clock", Clock(results.moment(now)))

    def _open(self, id_: int) -> asyncio.Future[object] | None:
        """The question that waits for this answer; None when nobody waits for it any more."""
        future = self._waiting.get(id_)
        return None if future is None or future.done() else future

    def _tell(self, sort: str, push: Push) -> None:
        self._told[sort] = push
        self._news.set()

    def _lose(self) -> None:
        self._lost = True
        self._news.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkLost(_LOST))


_LOST = "the connection to the broker is lost; connect again"


@asynccontextmanager
async def connected(channel: socket.socket) -> AsyncIterator[ControlClient]:
    """A client over a connected socket, hearing in the background; closes the socket."""
    reader, writer = await asyncio.open_connection(sock=channel, limit=LINE_LIMIT)
    client = ControlClient(reader, writer)
    try:
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(client.run())
            try:
                yield client
            finally:
                hearing.cancel()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
