"""One channel from its first request to its exit status: every failure ends as a sentence."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from broker.errors import (
    EvidenceFailure,
    ExitCode,
    InterlockError,
    StoreAway,
    UsageError,
)
from broker.ssh.visitor import LOGIN

if TYPE_CHECKING:
    from broker.ssh.channel import Channel, Request
    from broker.ssh.visitor import Visitor

log = logging.getLogger("interlock.ssh")

FAULT = "interlock: an internal fault ended this session. Nothing more was sent to the target."
EVIDENCE = "Nothing more was sent to the target, and this session has ended."


class Route(Protocol):
    """Does what was asked; gives the exit code."""

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Raises InterlockError with the sentence for the person."""


async def say(channel: Channel, text: str) -> None:
    """A sentence of ours on standard error, with the line end that the client's terminal needs."""
    end = "\r\n" if channel.terminal is not None else "\n"
    lines = text.rstrip("\n").split("\n")
    await channel.write_error((end.join(lines) + end).encode())


async def serve(route: Route, visitor: Visitor, channel: Channel, request: Request) -> None:
    """Run one channel to its end. The client's going away cancels whatever still waits."""
    task = asyncio.current_task()

    def gone() -> None:
        if task is not None:
            task.cancel()

    channel.on_gone(gone)
    if visitor.user == LOGIN:
        channel.keep_apart()  # `> KEYFILE-cert.pub`: with a keyboard, ssh asks for a terminal
    try:
        code = await _guarded(route, visitor, channel, request)
        channel.on_gone(None)
        await channel.finish(code)
    except (ConnectionError, asyncio.CancelledError):
        log.debug("channel of %s ended by its client", visitor.user)


async def _guarded(route: Route, visitor: Visitor, channel: Channel, request: Request) -> int:
    try:
        visitor.check()
        if request.subsystem is not None:
            msg = (
                f"subsystem {request.subsystem!r} is not offered here: no file transfer passes "
                "until a rule for it exists"
            )
            raise UsageError(msg)
        return await route(visitor, channel, request)
    except StoreAway as error:
        await say(channel, f"interlock: {error}")
        return error.code
    except EvidenceFailure as error:
        log.error("session ended: %s", error)
        await say(channel, f"interlock: {error}. {EVIDENCE}")
        return ExitCode.FAULT
    except InterlockError as error:
        await say(channel, f"interlock: {error}")
        return error.code
    except ConnectionError:
        raise
    except Exception:  # a bug ends its own session, never the listener
        log.exception("fault in a channel of user name %r", visitor.user)
        await say(channel, FAULT)
        return ExitCode.FAULT
