from __future__ import annotations

import pytest

from broker.errors import EvidenceFailure, ProtocolError
from broker.gate import Gate
from broker.model import Answer, Verdict
from broker.postgres.guard import GuardedMask
from tests.broker.wire.masker import LineMask, SeenMask
from tests.fakes import FakeAudit, FakeRecorder, FakeReviews, Journal, session


def a_gate(journal: Journal) -> Gate:
    return Gate(
        session(),
        judge=lambda _: Verdict(Answer.ALLOW, "r", ""),
        reviews=FakeReviews(journal),
        audit=FakeAudit(journal),
        recorder=FakeRecorder(journal),
        new_mask=LineMask,
        redact=str,
    )


def test_a_broken_mask_shuts_the_gate() -> None:
    gate = a_gate(Journal())
    mask = GuardedMask(gate, SeenMask(failing=True))
    with pytest.raises(EvidenceFailure):
        mask.plan([], tainted=False)
    with pytest.raises(EvidenceFailure):
        gate.rows(b"row", b"")


def test_a_working_mask_is_passed_through() -> None:
    mask = GuardedMask(a_gate(Journal()), SeenMask())
    assert mask.text(b"ann@x.org") == b"***"
    stream = mask.copy_stream()
    assert stream.feed(b"ann@x.org\n") + stream.idle() + stream.close() == b"***\n"
    assert stream.take_counts() == mask.take_counts() == {}
    plan = mask.plan([], tainted=True)
    assert plan.active
    assert plan.rows(b"") == b""


def test_rows_that_are_none_end_the_session_but_are_no_failure_of_masking() -> None:
    gate = a_gate(Journal())
    plan = GuardedMask(gate, SeenMask()).plan([], tainted=False)
    with pytest.raises(ProtocolError):
        plan.rows(b"D\0\0\0\x0a\0\1\xff\xff\xff\xff")
    assert gate.rows(b"row", b"") == b"row"
