"""The store of one node: one SQLite file, written through at every commit.

Calls are synchronous and short. Any failure of the file is an EvidenceFailure: what cannot be
kept must not happen.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from broker.errors import EvidenceFailure
from broker.store.records import INTERRUPTED, OPEN, opened_record
from broker.store.rows import (
    approval_row,
    review_of,
    review_row,
    session_of,
    session_row,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from broker.model import Session
    from broker.review.life import Review, State
    from broker.store.records import SessionRecord

FILE = "interlock.sqlite"

HELD = "SELECT state, (SELECT count(*) FROM approvals WHERE review = id) FROM reviews WHERE id = ?"
CHANGE = (
    "UPDATE reviews SET state = :state, closed_by = :closed_by, closed_reason = :closed_reason,"
    " closed_at = :closed_at, body = :body WHERE id = :id"
)
ORPHANS = (
    "SELECT * FROM reviews WHERE state = 'pending'"
    " AND session NOT IN (SELECT id FROM sessions WHERE status = 'open') ORDER BY asked"
)
MARKS = (
    "SELECT id, (SELECT count(*) FROM approvals WHERE review = id) AS given FROM reviews"
    " WHERE state = 'pending'"
)


class Store:
    """Implements `contract.Store` for one node. Used from one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open or begin the file, readable by its owner alone, and bring its schema up to date."""
        with _failing():
            _make_private(path)
            db = sqlite3.connect(path, isolation_level=None, timeout=5)
            try:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
                _migrate(db)
            except BaseException:
                db.close()
                raise
        return cls(db)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # -- sessions ------------------------------------------------------------------------------

    def save_session_opened(self, session: Session, *, recording: str | None) -> None:
        """Keep a session that begins; its id must be new."""
        record = opened_record(session, recording)
        with self._change() as db:
            _insert(db, "sessions", session_row(record))

    def save_session_closed(
        self, session_id: str, *, ended: datetime, status: str, exit_code: int | None
    ) -> None:
        """Keep how a session ended; the first end is the one that counts."""
        with self._change() as db:
            db.execute(
                "UPDATE sessions SET ended = ?, status = ?, exit_code = ?"
                " WHERE id = ? AND status = ?",
                (time_text(ended), status, exit_code, session_id, OPEN),
            )

    def catch_up(self) -> None:
        """What a file did not take at its moment is interrupted at the next start."""

    def find_session(self, session_id: str) -> SessionRecord | None:
        """The session of that id."""
        rows = self._rows("SELECT * FROM sessions WHERE id = ?", (session_id,))
        return session_of(rows[0]) if rows else None

    def list_sessions(
        self,
        *,
        identity: str | None = None,
        target: str | None = None,
        status: str | None = None,
        limit: int = 100,
    ) -> list[SessionRecord]:
        """Sessions, the latest first; each filter that is given must match exactly."""
        rows = self._rows(
            "SELECT * FROM sessions WHERE (?1 IS NULL OR identity = ?1)"
            " AND (?2 IS NULL OR target = ?2) AND (?3 IS NULL OR status = ?3)"
            " ORDER BY started DESC, id DESC LIMIT ?4",
            (identity, target, status, limit),
        )
        return [session_of(row) for row in rows]

    def interrupt_sessions(self, ended: datetime, node: str | None = None) -> list[SessionRecord]:
        """Mark what a previous run (of that node) left open; gives those sessions as they are."""
        with self._change() as db:
            rows = db.execute(
                "UPDATE sessions SET ended = ?1, status = ?2"
                " WHERE status = ?3 AND (?4 IS NULL OR node = ?4) RETURNING *",
                (time_text(ended), INTERRUPTED, OPEN, node),
            ).fetchall()
        return sorted((session_of(dict(row)) for row in rows), key=lambda record: record.started)

    # -- serials -------------------------------------------------------------------------------

    def next_serial(self, issued: datetime) -> int:
        """A certificate serial that was never given before: 63 random bits, not zero."""
        while True:
            serial = secrets.randbits(63)
            with self._change() as db:
                added = db.execute(
                    "INSERT INTO serials (serial, issued) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (serial, time_text(issued)),
                ).rowcount
            if added and serial:
                return serial

    # -- reviews -------------------------------------------------------------------------------

    def add_review(self, review: Review) -> bool:
        """Keep a new review; False when there is one of that id."""
        with self._change() as db:
            return _insert(db, "reviews", review_row(review), "ON CONFLICT DO NOTHING")

    def change_review(self, before: Review, after: Review, first: Callable[[], None]) -> bool:
        """Keep `after` if the review still is as `before`; the file is locked meanwhile."""
        with self._change() as db:
            held = db.execute(HELD, (before.id,)).fetchone()
            if held is None or tuple(held) != (before.state.value, len(before.approvals)):
                return False
            first()
            db.execute(CHANGE, review_row(after))
            for number in range(len(before.approvals), len(after.approvals)):
                _insert(db, "approvals", approval_row(after, number))
        return True

    def find_review(self, review_id: str) -> Review | None:
        """The review of that id."""
        rows = self._rows("SELECT * FROM reviews WHERE id = ?", (review_id,))
        return self._review(rows[0]) if rows else None

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """Reviews, the latest first."""
        rows = self._rows(
            "SELECT * FROM reviews WHERE (?1 IS NULL OR state = ?1)"
            " ORDER BY asked DESC, id LIMIT ?2",
            (state.value if state else None, limit),
        )
        return [self._review(row) for row in rows]

    def list_orphans(self) -> list[Review]:
        """Reviews that wait although the session that asked is over."""
        return [self._review(row) for row in self._rows(ORPHANS, ())]

    def pending_marks(self) -> Mapping[str, int]:
        """Each review that waits, and how many approvals it has."""
        return {row["id"]: row["given"] for row in self._rows(MARKS, ())}

    def _review(self, row: dict[str, Any]) -> Review:
        given = self._rows("SELECT * FROM approvals WHERE review = ? ORDER BY n", (row["id"],))
        return review_of(row, given)

    # -- the file ------------------------------------------------------------------------------

    def _rows(self, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        with _failing():
            return [dict(row) for row in self._db.execute(query, values)]

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with _failing():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any], conflict: str = "") -> bool:
    """Insert a row unless it conflicts; names and clauses are written in this file, never given."""
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    statement = f"INSERT INTO {table} ({columns}) VALUES ({places}) {conflict}"  # noqa: S608
    return db.execute(statement, dict(row)).rowcount == 1


def _migrate(db: sqlite3.Connection) -> None:
    schema = files("broker.store") / "schema"
    steps = sorted(step.name for step in schema.iterdir() if step.name.endswith(".sql"))
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        msg = "the store was written by a newer version of interlock"
        raise EvidenceFailure(msg)
    for number, name in enumerate(steps[version:], version + 1):
        script = (schema / name).read_text("utf-8")
        # One script, one transaction: a crash leaves the schema as it was before this step.
        db.executescript(f"BEGIN EXCLUSIVE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, so that it and its journal are ours alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            msg = f"others may read the store; run: chmod 600 {path}"
            raise EvidenceFailure(msg)
    finally:
        os.close(descriptor)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as error:
        msg = f"the store cannot be used: {error}"
        raise EvidenceFailure(msg) from error
