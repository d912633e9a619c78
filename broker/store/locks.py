"""The locks in the store, which every process on the same file sees."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure
from broker.policy.locks import Lock, Subject
from broker.store.rows import time_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_S = 1.0  # a look every half second must not wait longer for another process

ALL = "SELECT subject, name, by, at, reason FROM locks ORDER BY at, subject, name"
PUT = (
    "INSERT INTO locks (subject, name, by, at, reason) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (subject, name) DO UPDATE SET"
    " by = excluded.by, at = excluded.at, reason = excluded.reason"
)
LIFT = "DELETE FROM locks WHERE subject = ? AND name = ?"
TIDY = (
    "DELETE FROM locks WHERE subject = 'session'"
    " AND name NOT IN (SELECT id FROM sessions WHERE status = 'open')"
)


class LockTable:
    """Reads and writes locks over the file of a `Store`. Raises EvidenceFailure."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> LockTable:
        """Over a file that `Store.open` has made and brought up to date."""
        with _failing():
            address = f"{path.absolute().as_uri()}?mode=rw"
            db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_S)
            db.execute("PRAGMA synchronous = FULL")
        return cls(db)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def all(self) -> tuple[Lock, ...]:
        """Every lock, the oldest first."""
        with _failing():
            return tuple(
                Lock(Subject(subject), name, by, datetime.fromisoformat(at), reason)
                for subject, name, by, at, reason in self._db.execute(ALL)
            )

    def put(self, lock: Lock) -> None:
        """Keep a lock; one that is on the same already is replaced."""
        row = (lock.subject.value, lock.name, lock.by, time_text(lock.at), lock.reason)
        with _failing():
            self._db.execute(PUT, row)

    def lift(self, subject: Subject, name: str) -> bool:
        """Remove a lock; False when there was none."""
        with _failing():
            return self._db.execute(LIFT, (subject.value, name)).rowcount == 1

    def tidy(self) -> None:
        """Remove the locks on sessions that are over."""
        with _failing():
            self._db.execute(TIDY)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: a row that makes no sense
        msg = f"the store cannot be used: {error}"
        raise EvidenceFailure(msg) from error
