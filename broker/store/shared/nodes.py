"""Which nodes live, by a lease that each renews, and what all of them together have open.

A lease is judged by the database's clock alone, so that nodes need not agree on the time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from broker.errors import StoreAway
from broker.store.records import INTERRUPTED, OPEN
from broker.store.rows import session_of, time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from broker.store.records import SessionRecord
    from broker.store.shared.link import Link

LEASE_S = 30

RENEW = (
    "INSERT INTO nodes (name, lease_until, connections)"
    " VALUES (%(name)s, clock_timestamp() + make_interval(secs => %(lease)s), %(connections)s)"
    " ON CONFLICT (name) DO UPDATE SET"
    " lease_until = excluded.lease_until, connections = excluded.connections"
)
RECLAIM = (  # others may have taken this node for dead while it could not reach the store
    "UPDATE sessions SET status = %(open)s, ended = NULL"
    " WHERE node = %(name)s AND status = %(interrupted)s AND id = ANY(%(running)s)"
)
DEAD = (
    "SELECT name FROM nodes WHERE lease_until < clock_timestamp() AND name <> %s"
    " ORDER BY name FOR UPDATE SKIP LOCKED"
)
SESSIONS = "SELECT * FROM sessions WHERE node = %s AND status = %s ORDER BY started"
INTERRUPT = "UPDATE sessions SET ended = %s, status = %s WHERE node = %s AND status = %s"
BURY = "DELETE FROM nodes WHERE name = %s"
SESSIONS_ELSEWHERE = (
    "SELECT count(*) FILTER (WHERE identity = %(identity)s) AS mine, count(*) AS total"
    " FROM sessions WHERE status = 'open' AND node <> %(name)s"
)
CONNECTIONS_ELSEWHERE = (
    "SELECT connections FROM nodes WHERE name <> %s AND lease_until > clock_timestamp()"
)
# A bucket of tries for each address, refilled over a minute; no row comes back from an empty one.
FILLED = (
    "least(%(most)s, k.tries + extract(epoch FROM (excluded.at - k.at))::float8 * %(most)s / 60)"
)
KNOCK = f"""
INSERT INTO knocks AS k (source, tries, at)
VALUES (%(source)s, %(most)s::float8 - 1, clock_timestamp())
ON CONFLICT (source) DO UPDATE SET tries = {FILLED} - 1, at = excluded.at
WHERE {FILLED} >= 1 RETURNING tries
"""  # noqa: S608 - both halves are written here
FORGET = "DELETE FROM knocks WHERE at < clock_timestamp() - interval '1 minute'"


class SharedNodes:
    """Implements `contract.Nodes`."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name

    @property
    def name(self) -> str:
        """What this one is called."""
        return self._name

    def renew(self, running: Collection[str], connections: Mapping[str, int]) -> None:
        """This node lives: with these sessions, and so many connections of each identity."""
        self._link.run(
            RENEW,
            {"name": self._name, "lease": LEASE_S, "connections": json.dumps(dict(connections))},
        )
        if running:
            self._link.run(
                RECLAIM,
                {
                    "name": self._name,
                    "running": list(running),
                    "open": OPEN,
                    "interrupted": INTERRUPTED,
                },
            )

    def bury(self, ended: datetime, first: Callable[[str, list[SessionRecord]], None]) -> None:
        """Mark the open sessions of nodes whose lease is over; one node does it for each."""
        with self._link.change():
            for row in self._link.run(DEAD, (self._name,)):
                dead = row["name"]
                left = [session_of(found) for found in self._link.run(SESSIONS, (dead, OPEN))]
                first(dead, left)
                self._link.run(INTERRUPT, (time_text(ended), INTERRUPTED, dead, OPEN))
                self._link.run(BURY, (dead,))
        self._link.run(FORGET)

    def leave(self) -> None:
        """This node stops."""
        self._link.run(BURY, (self._name,))

    def sessions_elsewhere(self, identity: str) -> tuple[int, int]:
        """How many sessions other nodes have open: of this identity, and in all."""
        (row,) = self._link.run(SESSIONS_ELSEWHERE, {"identity": identity, "name": self._name})
        return row["mine"], row["total"]

    def connections_elsewhere(self, identity: str) -> tuple[int, int]:
        """The same of connections; as they were when those nodes told last."""
        try:
            rows = self._link.run(CONNECTIONS_ELSEWHERE, (self._name,))
        except StoreAway:
            return 0, 0  # no session begins meanwhile, and this node's own limits hold
        told = [row["connections"] for row in rows]
        mine = sum(counts.get(identity, 0) for counts in told)
        return mine, sum(sum(counts.values()) for counts in told)

    def knock(self, source: str, per_minute: int) -> bool:
        """Count a login from an address over all nodes; False when there were too many."""
        return bool(self._link.run(KNOCK, {"source": source, "most": per_minute}))
