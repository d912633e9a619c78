"""`ssh -L` and `ssh -W`: a forwarded channel is not a connection to a host but a way to a target.

The destination is a target's name and the port does not matter. The stream is handed to the
target's own relay, never to a socket.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import InterlockError, UsageError
from broker.model import Way
from broker.ssh.visitor import proven

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from broker.config.model import Config
    from broker.live import Live, Opened
    from broker.model import Identity
    from broker.ssh.stream import Stream
    from broker.ssh.visitor import Visitor

    Open = Callable[[], AbstractAsyncContextManager[Opened]]
    Relay = Callable[["Stream", Identity, Open], Awaitable[None]]

log = logging.getLogger("interlock.forward")


@dataclass(frozen=True, slots=True)
class Forward:
    """Accepts forwarded channels. `relays` has one entry for each kind that can be forwarded to.

    A relay opens the session by itself, when the client has said more than a cancellation.
    """

    config: Callable[[], Config]
    live: Live
    relays: Mapping[str, Relay]

    def __call__(self, visitor: Visitor, host: str) -> Callable[[Stream], Awaitable[None]]:
        """What serves the channel, or a sentence (InterlockError) for the client's stderr."""
        identity = proven(visitor)
        target = self.config().targets.get(host)
        if target is None or not self.live.may_reach(identity, host):
            msg = (
                f"forwarding goes to a target of yours by its name, and {host!r} is none. "
                "Try: ssh -N -L 5432:TARGET:5432 broker@THIS-HOST"
            )
            raise UsageError(msg)
        relay = self.relays.get(target.kind)
        if relay is None:
            msg = f"{host} is no database; use: ssh {host}@THIS-HOST COMMAND"
            raise UsageError(msg)

        async def serve(stream: Stream) -> None:
            try:
                await relay(
                    stream,
                    identity,
                    lambda: self.live.open(identity, target, Way.FORWARD, source=visitor.source),
                )
            except (InterlockError, ConnectionError) as error:
                log.info("forwarded session to %s ended: %s", host, error)
            except Exception:  # a bug ends its own channel, never the connection
                log.exception("fault in a forwarded session to %s", host)
            finally:
                stream.close()

        return serve
