"""`ssh broker@broker VERB...`: runs the verbs of `control.operations` for the proven identity."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from broker.control import verbs
from broker.errors import ExitCode, UsageError
from broker.ssh.replay import replay
from broker.ssh.visitor import proven

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from broker.control.dry_runs import DryRuns
    from broker.control.locks import LockVerbs
    from broker.control.operations import Operations
    from broker.model import Identity
    from broker.ssh.channel import Channel, Request
    from broker.ssh.visitor import Visitor

T = TypeVar("T")

STATEMENT_LIMIT = 256 * 1024  # bytes read from standard input for `check`
PAGE = 256 * 1024  # bytes of a recording sent at a time


@dataclass(frozen=True, slots=True)
class Verbs:
    """Implements `serve.Route` for the user name `broker`."""

    operations: Operations
    locks: LockVerbs
    dry_runs: DryRuns

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Run one verb."""
        identity = proven(visitor)
        if request.command is None:
            msg = f"say what you want: ssh broker@THIS-HOST VERB. {verbs.usage()}"
            raise UsageError(msg)
        words = verbs.parse(request.command)
        match words.verb:
            case "check":
                return await self._check(identity, channel, words)
            case "play":
                return await self._play(identity, channel, words)
            case "verify":
                report = await self.operations.verify(identity)
                await self._print(channel, words, report, verbs.verify)
                return ExitCode.OK if report["ok"] else ExitCode.FAULT
            case "approve" | "deny" | "dry-run":
                return await self._answer(identity, channel, words)
            case "lock" | "unlock" | "kill":
                return await self._bar(identity, channel, words)
            case _:
                return await self._list(identity, channel, words)

    async def _list(self, by: Identity, channel: Channel, words: argparse.Namespace) -> int:
        do = self.operations
        match words.verb:
            case "whoami":
                await self._print(channel, words, do.whoami(by), verbs.whoami)
            case "targets":
                await self._print(channel, words, do.targets(by), verbs.targets)
            case "pending":
                await self._print(channel, words, do.pending(by), verbs.pending)
            case "sessions":
                await self._print(channel, words, do.sessions(by), verbs.sessions)
            case "locks":
                await self._print(channel, words, self.locks.listed(by), verbs.locks)
            case _:
                await self._print(channel, words, [do.show(by, words.id)], verbs.show)
        return ExitCode.OK

    async def _answer(self, by: Identity, channel: Channel, words: argparse.Namespace) -> int:
        if words.verb == "dry-run":
            tried = await self.dry_runs.run(by, words.id)
            await self._print(channel, words, tried, verbs.tried)
            return ExitCode.OK
        approve = words.verb == "approve"
        card = self.operations.answer(
            by, words.id, approve=approve, reason=words.reason, digest=words.digest
        )

        await self._print(channel, words, card, verbs.answered)
        return ExitCode.OK

    async def _bar(self, by: Identity, channel: Channel, words: argparse.Namespace) -> int:
        do = self.locks
        act = {"lock": do.lock, "unlock": do.unlock, "kill": do.kill}[words.verb]
        done = act(by, words.what, words.reason)
        await self._print(channel, words, {"done": words.verb} | dict(done), verbs.barred)
        return ExitCode.OK

    async def _check(self, by: Identity, channel: Channel, words: argparse.Namespace) -> int:
        text = words.statement
        if text is None:
            text = (await _all_of(channel)).decode("utf-8", "surrogateescape")
        await self.operations.prepare(words.target, text.rstrip("\n"))
        told = self.operations.check(by, words.target, text.rstrip("\n"))
        await self._print(channel, words, told, verbs.check)
        return ExitCode.OK

    async def _play(self, by: Identity, channel: Channel, words: argparse.Namespace) -> int:
        path = self.operations.recording(by, words.session)
        if channel.terminal is not None and not words.json:
            await replay(path, channel, speed=words.speed, idle=words.idle)
            return ExitCode.OK
        with path.open("rb") as file:
            while page := await asyncio.to_thread(file.read, PAGE):
                await channel.write(page)
        return ExitCode.OK

    async def _print(
        self,
        channel: Channel,
        words: argparse.Namespace,
        value: T,
        told: Callable[[T], str],
    ) -> None:
        text = json.dumps(value, default=str) if words.json else verbs.safe(told(value))
        end = "\r\n" if channel.terminal is not None else "\n"
        await channel.write((end.join(text.split("\n")) + end).encode())


async def _all_of(channel: Channel) -> bytes:
    data = b""
    while chunk := await channel.read():
        data += chunk
        if len(data) > STATEMENT_LIMIT:
            msg = f"that is too long to check ({STATEMENT_LIMIT} bytes at most)"
            raise UsageError(msg)
    return data
