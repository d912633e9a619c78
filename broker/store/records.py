"""A session as it is kept, and as the contract's JSON object; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.review.shapes import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from broker.events import Json
    from broker.model import Session

OPEN = "open"
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session, running or over. `identity` is ``kind:name@issuer``.

    `status` is ``open`` until it is over, then ``ended``, ``failed``, ``interrupted`` or
    ``killed``. `recording` is the file, relative to ``recordings/`` of the `node` that it ran on.
    """

    id: str
    identity: str
    acting_for: str | None
    target: str
    kind: str
    way: str
    started: datetime
    ended: datetime | None = None
    status: str = OPEN
    exit_code: int | None = None
    recording: str | None = None
    reason: str = ""
    source: str = ""
    node: str = ""


def opened_record(session: Session, recording: str | None) -> SessionRecord:
    """A session that begins."""
    return SessionRecord(
        id=session.id,
        identity=str(session.identity),
        acting_for=session.identity.acting_for,
        target=session.target,
        kind=session.target_kind,
        way=session.way.value,
        started=session.started,
        recording=recording,
        reason=session.reason,
        source=session.source,
        node=session.node,
    )


def session_json(record: SessionRecord) -> dict[str, Json]:
    """The contract's members, then the rest of what is known."""
    return {
        "id": record.id,
        "identity": record.identity,
        "acting_for": record.acting_for,
        "target": record.target,
        "kind": record.kind,
        "started": rfc3339(record.started),
        "ended": None if record.ended is None else rfc3339(record.ended),
        "status": record.status,
        "recording": record.recording,
        "way": record.way,
        "exit": record.exit_code,
        "reason": record.reason,
        "source": record.source,
        "node": record.node,
    }
