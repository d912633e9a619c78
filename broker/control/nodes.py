"""This node among those that share its store: its lease, the dead ones' sessions, who wakes whom.

Everything that waits for another node is woken by the store, and looks by itself twice a second in
case nobody wakes it. While the store is away nothing happens here; the store itself comes back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from broker import events
from broker.errors import EvidenceFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from broker.ports import Audit, Clock
    from broker.review.desk import Desk
    from broker.store.opening import Stores
    from broker.store.records import SessionRecord

log = logging.getLogger("interlock.nodes")

LOOK_EVERY = 0.5  # seconds after which a change in the count of connections is told
BEAT_S = 5.0  # seconds between two renewals of the lease: several fit into one
GAP_S = 0.02  # seconds between two looks, however often we are woken

GONE = "the node of its session is gone, or lost the store"


class Membership:
    """One node's life in the store. `look` sees what other nodes have changed."""

    def __init__(
        self,
        stores: Stores,
        desk: Desk,
        audit: Audit,
        clock: Clock,
        *,
        running: Callable[[], Collection[str]],
        connections: Callable[[], Mapping[str, int]],
        look: Callable[[], object],
    ) -> None:
        self._stores = stores
        self._desk = desk
        self._audit = audit
        self._clock = clock
        self._running = running
        self._connections = connections
        self._look = look
        self._woken = asyncio.Event()
        self._told: Mapping[str, int] = {}
        self._beaten = float("-inf")

    def begin(self) -> None:
        """This node starts: nobody waits any longer for what its last run asked."""
        self._desk.recover()
        self.beat()

    def leave(self) -> None:
        """This node stops; the others need not wait for its lease."""
        with suppress(EvidenceFailure):
            self._stores.nodes.leave()

    async def watch(self) -> None:
        """For ever: renew, bury, and look when woken."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stores.watch(self._woken.set))
            tasks.create_task(self._wake())
            tasks.create_task(self._beat_on())

    async def _wake(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            with suppress(EvidenceFailure):
                self._look()
                self._desk.look()
            await asyncio.sleep(GAP_S)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            due = time.monotonic() - self._beaten >= BEAT_S
            with suppress(EvidenceFailure):  # the next beat is soon
                if due:
                    self.beat()
                elif self._connections() != self._told:
                    self._renew()

    def beat(self) -> None:
        """Renew the lease, and close what dead nodes left."""
        self._stores.store.catch_up()
        self._renew()
        dead: list[str] = []

        def found(node: str, left: list[SessionRecord]) -> None:
            dead.append(node)
            self._buried(node, left)

        self._stores.nodes.bury(self._clock(), found)
        if dead:
            self._stores.locks.tidy()
        self._desk.recover(GONE)
        self._beaten = time.monotonic()

    def _renew(self) -> None:
        told = dict(self._connections())
        self._stores.nodes.renew(self._running(), told)
        self._told = told

    def _buried(self, node: str, left: list[SessionRecord]) -> None:
        interrupted = [record.id for record in left]
        self._audit.append(
            events.broker_event("recovered", {"node": node, "interrupted": [*interrupted]}),
            durable=True,
        )
        log.warning("node %s is gone: %d sessions closed", node, len(interrupted))
