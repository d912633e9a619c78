"""Locks in the shared store; a change of them wakes every node."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure
from broker.policy.locks import Lock, Subject
from broker.store.rows import time_text

if TYPE_CHECKING:
    from broker.store.shared.link import Link

ALL = "SELECT subject, name, by, at, reason FROM locks ORDER BY at, subject, name"
PUT = (
    "INSERT INTO locks (subject, name, by, at, reason) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (subject, name) DO UPDATE SET"
    " by = excluded.by, at = excluded.at, reason = excluded.reason"
)
LIFT = "DELETE FROM locks WHERE subject = %s AND name = %s RETURNING name"
TIDY = (
    "DELETE FROM locks WHERE subject = 'session'"
    " AND name NOT IN (SELECT id FROM sessions WHERE status = 'open')"
)


class SharedLocks:
    """Implements `contract.Locks`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def all(self) -> tuple[Lock, ...]:
        """Every lock, the oldest first; a row that makes no sense is a failure, and not no lock."""
        rows = self._link.run(ALL)
        try:
            return tuple(
                Lock(
                    Subject(row["subject"]),
                    row["name"],
                    row["by"],
                    datetime.fromisoformat(row["at"]),
                    row["reason"],
                )
                for row in rows
            )
        except ValueError as error:
            msg = f"the store cannot be used: {error}"
            raise EvidenceFailure(msg) from error

    def put(self, lock: Lock) -> None:
        """Keep a lock; one that is on the same already is replaced."""
        self._link.run(
            PUT, (lock.subject.value, lock.name, lock.by, time_text(lock.at), lock.reason)
        )

    def lift(self, subject: Subject, name: str) -> bool:
        """Remove a lock; False when there was none."""
        return bool(self._link.run(LIFT, (subject.value, name)))

    def tidy(self) -> None:
        """Remove the locks on sessions that are over."""
        self._link.run(TIDY)
