"""Where each user name leads: the dispatch of the front door."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import TryLater, UsageError
from broker.model import Way
from broker.ssh.visitor import LOGIN, proven

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from broker.config.model import Config
    from broker.console.client import Client
    from broker.live import Live, Opened
    from broker.model import Identity
    from broker.ssh.channel import Channel, Request
    from broker.ssh.serve import Route
    from broker.ssh.visitor import Visitor

    TargetWay = Callable[[Opened, Client, str | None], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Routes:
    """Implements `serve.Route`. `ways` has one entry for each kind of target."""

    config: Callable[[], Config]
    live: Live
    login: Route
    approvals: Route
    verbs: Route
    ways: Mapping[str, TargetWay]

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Go where the user name says."""
        if visitor.user == LOGIN:
            return await self.login(visitor, channel, request)
        identity = proven(visitor)
        if visitor.user == "approvals":
            return await self.approvals(visitor, channel, request)
        if visitor.user == "broker":
            return await self.verbs(visitor, channel, request)
        if visitor.user in self.config().targets:
            return await self._target(visitor, identity, channel, request)
        raise UsageError(self._unknown(visitor.user, identity))

    async def _target(
        self, visitor: Visitor, identity: Identity, channel: Channel, request: Request
    ) -> int:
        target = self.config().targets[visitor.user]
        way = Way.SCRIPT
        if request.command is not None:
            way = Way.COMMAND
        elif channel.terminal is not None:
            way = Way.INTERACTIVE
        opening = self.live.open(
            identity,
            target,
            way,
            reason=channel.environment("INTERLOCK_REASON"),
            source=visitor.source,
            terminal=channel.terminal,
        )
        async with opening as opened:
            try:
                async with asyncio.timeout(self.config().session_ttl.total_seconds()):
                    opened.exit_code = await self.ways[target.kind](
                        opened, channel, request.command
                    )
            except TimeoutError as error:
                msg = (
                    f"this session reached its limit of {self.config().session_ttl}; connect again"
                )
                raise TryLater(msg) from error
        return opened.exit_code

    def _unknown(self, name: str, identity: Identity) -> str:
        mine = [t for t in sorted(self.config().targets) if self.live.may_reach(identity, t)]
        known = ", ".join(mine) or "none"
        return (
            f"there is no target {name!r}. Your targets: {known}. "
            "Other user names: login, approvals, broker"
        )
