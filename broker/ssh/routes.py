"""Where each user name leads: the dispatch of the front door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import Denied
from broker.model import Way
from broker.policy import may
from broker.ssh.visitor import LOGIN, proven

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from broker.config.model import Config
    from broker.console.client import Client
    from broker.control.holds import Holds
    from broker.live import Live, Opened
    from broker.model import Identity
    from broker.ssh.channel import Channel, Request
    from broker.ssh.serve import Route
    from broker.ssh.visitor import Visitor

    TargetWay = Callable[[Opened, Client, str | None], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Routes:
    """Implements `serve.Route`. `ways` has one entry for each kind of target.

    `knock` counts a login by its address, and raises TryLater.
    """

    config: Callable[[], Config]
    live: Live
    login: Route
    approvals: Route
    verbs: Route
    ways: Mapping[str, TargetWay]
    holds: Holds
    knock: Callable[[str], None]

    async def __call__(self, visitor: Visitor, channel: Channel, request: Request) -> int:
        """Go where the user name says."""
        if visitor.user == LOGIN:
            self.knock(visitor.source)
            return await self.login(visitor, channel, request)
        identity = proven(visitor)
        self.holds.check(identity, source=visitor.source)
        if visitor.user in {"approvals", "broker"}:
            route = self.approvals if visitor.user == "approvals" else self.verbs
            with self.holds.holding(identity):
                return await route(visitor, channel, request)
        if not self.live.may_reach(identity, visitor.user):
            raise Denied(self._out_of_reach(visitor.user, identity))
        return await self._target(visitor, identity, channel, request)

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
            quiet_since=channel.quiet_since if way is Way.INTERACTIVE else None,
        )
        async with opening as opened:
            opened.exit_code = await self.ways[target.kind](opened, channel, request.command)
        return opened.exit_code

    def _out_of_reach(self, name: str, identity: Identity) -> str:
        """The same for a name that is nothing as for a target of others: nobody learns which."""
        mine = [t for t in sorted(self.config().targets) if self.live.may_reach(identity, t)]
        known = ", ".join(mine) or "none"
        return (
            f"{may.out_of_reach(name)}. Your targets: {known}. "
            "Other user names: login, approvals, broker"
        )
