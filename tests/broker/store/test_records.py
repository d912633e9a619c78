"""The contract's JSON of a session."""

from __future__ import annotations

import json
from datetime import timedelta

from broker.store.records import SessionRecord, session_json
from tests.fakes import NOON


def test_the_contracts_members() -> None:
    record = SessionRecord(
        "s1",
        "agent:shop@github",
        "alice",
        "orders",
        "postgres",
        "script",
        NOON,
        NOON + timedelta(seconds=90),
        "ended",
        0,
        "2026/01/01/s1.cast",
    )
    shape = session_json(record)
    assert json.loads(json.dumps(shape)) == shape
    assert {name: shape[name] for name in list(shape)[:9]} == {
        "id": "s1",
        "identity": "agent:shop@github",
        "acting_for": "alice",
        "target": "orders",
        "kind": "postgres",
        "started": "2026-01-01T12:00:00Z",
        "ended": "2026-01-01T12:01:30Z",
        "status": "ended",
        "recording": "2026/01/01/s1.cast",
    }


def test_a_running_session_has_no_end() -> None:
    running = session_json(SessionRecord("s", "i", None, "t", "ssh", "command", NOON))
    assert (running["ended"], running["status"], running["exit"]) == (None, "open", None)
