"""Answers one TUI: requests in, responses and pushes out, one JSON object a line.

The channel is bound to an identity before it begins; nothing that comes over it can change that.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from broker.console.telling import rfc3339
from broker.control import messages
from broker.control.pages import page
from broker.errors import InterlockError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.control.dry_runs import DryRuns
    from broker.control.messages import Request
    from broker.control.operations import Operations
    from broker.model import Identity

log = logging.getLogger("interlock.control")

CLOCK_EVERY = 10.0  # seconds between pushes of the broker's clock


class Server:
    """One identity's control channel."""

    def __init__(
        self,
        identity: Identity,
        operations: Operations,
        dry_runs: DryRuns,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._identity = identity
        self._do = operations
        self._dry_runs = dry_runs
        self._reader = reader
        self._writer = writer
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Answer until the other end closes."""
        forget = self._do.desk.on_change(lambda _review: self._changed.set())
        try:
            async with asyncio.TaskGroup() as tasks:
                aside = [tasks.create_task(self._push()), tasks.create_task(self._tick())]
                async for request in self._requests():
                    if request.do == "dry-run":  # takes seconds, and the rest must not wait
                        aside.append(tasks.create_task(self._respond(request)))
                    else:
                        await self._respond(request)
                for task in aside:
                    task.cancel()
        except* ConnectionError:
            log.debug("control channel of %s closed", self._identity)
        finally:
            forget()
            self._writer.close()

    async def _requests(self) -> AsyncIterator[Request]:
        while line := await self._reader.readline():
            yield messages.decode_request(line)

    async def _respond(self, request: Request) -> None:
        await self._send(await self._answer(request))

    async def _answer(self, request: Request) -> bytes:
        try:
            return messages.encode_result(request.id, await self._result(request))
        except InterlockError as error:
            return messages.encode_error(request.id, str(error), int(error.code))
        except Exception:  # a fault in one answer must not take the approver's screen away
            log.exception("fault while answering %r", request.do)
            return messages.encode_error(request.id, "the broker could not do that (a fault)", 70)

    async def _result(self, request: Request) -> object:
        do, by, args = self._do, self._identity, request.args
        match request.do:
            case "hello":
                return {
                    "identity": str(by),
                    "kind": by.kind.value,
                    "groups": list(by.groups),
                    "now": rfc3339(do.clock()),
                    "node": do.node,
                }
            case "pending" | "sessions":
                return do.pending(by) if request.do == "pending" else do.sessions(by)
            case "show":
                return do.show(by, str(args.get("id", "")))
            case "approve" | "deny":
                return do.answer(
                    by,
                    str(args.get("id", "")),
                    approve=request.do == "approve",
                    reason=str(args.get("reason") or ""),
                    digest=str(args.get("digest", "")),
                )
            case "dry-run":
                return await self._dry_runs.run(by, str(args.get("id", "")))
            case "play":
                return await self._page(args)
            case other:
                msg = f"the broker has no {other!r}"
                raise UsageError(msg)

    async def _page(self, args: messages.Args) -> object:
        offset = args.get("offset") or 0
        if not isinstance(offset, int) or offset < 0:
            msg = "an offset is a whole number"
            raise UsageError(msg)
        path = self._do.recording(self._identity, str(args.get("session", "")), first=offset == 0)
        return await asyncio.to_thread(page, path, offset)

    async def _push(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._send(messages.encode_push_changed("reviews"))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_EVERY)
            await self._send(messages.encode_push_clock(rfc3339(self._do.clock())))

    async def _send(self, line: bytes) -> None:
        self._writer.write(line)
        await self._writer.drain()
