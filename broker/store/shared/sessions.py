"""Sessions and certificate serials in the shared store."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure, StoreAway
from broker.store.records import INTERRUPTED, OPEN, opened_record
from broker.store.rows import session_of, session_row, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from broker.model import Session
    from broker.store.records import SessionRecord
    from broker.store.shared.link import Link

CLOSE = (
    "UPDATE sessions SET ended = %(ended)s, status = %(status)s, exit_code = %(exit_code)s"
    " WHERE id = %(id)s AND status = ANY(%(was)s)"
)
LIST = (
    "SELECT * FROM sessions WHERE (%(identity)s::text IS NULL OR identity = %(identity)s)"
    " AND (%(target)s::text IS NULL OR target = %(target)s)"
    " AND (%(status)s::text IS NULL OR status = %(status)s)"
    " ORDER BY started DESC, id DESC LIMIT %(limit)s"
)
INTERRUPT = (
    "UPDATE sessions SET ended = %(ended)s, status = %(interrupted)s"
    " WHERE status = %(open)s AND (%(node)s::text IS NULL OR node = %(node)s) RETURNING *"
)
SERIAL = (
    "INSERT INTO serials (serial, issued) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING serial"
)


class SharedSessions:
    """The part of `contract.Store` that is about sessions and serials."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._late: list[dict[str, object]] = []

    def save_session_opened(self, session: Session, *, recording: str | None) -> None:
        """Keep a session that begins; its id must be new."""
        self._link.run(*insert("sessions", session_row(opened_record(session, recording))))

    def save_session_closed(
        self, session_id: str, *, ended: datetime, status: str, exit_code: int | None
    ) -> None:
        """Keep how a session ended; when the store is away, `catch_up` does it later."""
        end: dict[str, object] = {
            "id": session_id,
            "ended": time_text(ended),
            "status": status,
            "exit_code": exit_code,
        }
        try:
            self._link.run(CLOSE, end | {"was": [OPEN]})
        except StoreAway:
            self._late.append(end)
            raise

    def catch_up(self) -> None:
        """Keep the ends that came while the store was away, whatever others thought meanwhile."""
        while self._late:
            self._link.run(CLOSE, self._late[0] | {"was": [OPEN, INTERRUPTED]})
            del self._late[0]

    def find_session(self, session_id: str) -> SessionRecord | None:
        """The session of that id."""
        rows = self._link.run("SELECT * FROM sessions WHERE id = %s", (session_id,))
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
        filters = {"identity": identity, "target": target, "status": status, "limit": limit}
        return [session_of(row) for row in self._link.run(LIST, filters)]

    def interrupt_sessions(self, ended: datetime, node: str | None = None) -> list[SessionRecord]:
        """Mark what a previous run of that node left open; gives those sessions as they are."""
        values = {"ended": time_text(ended), "interrupted": INTERRUPTED, "open": OPEN, "node": node}
        rows = self._link.run(INTERRUPT, values)
        return sorted((session_of(row) for row in rows), key=lambda record: record.started)

    def next_serial(self, issued: datetime) -> int:
        """A certificate serial that was never given before: 63 random bits, not zero."""
        for _ in range(100):
            serial = secrets.randbits(63)
            if serial and self._link.run(SERIAL, (serial, time_text(issued))):
                return serial
        msg = "the store has no new serial for a certificate"
        raise EvidenceFailure(msg)


def insert(table: str, row: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """A statement that inserts a row; names are written in this package, never given."""
    columns, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    return f"INSERT INTO {table} ({columns}) VALUES ({places})", row  # noqa: S608
