"""A session's recording in the log: no file without its event, no end without its hash."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from broker import events
from broker.errors import EvidenceFailure
from broker.evidence.recorder import SessionRecorder, salvage_all
from broker.evidence.verify import verify
from recordings.library import Library
from tests.broker.evidence.states import Broker, session_of
from tests.fakes import FakeAudit, Journal
from tests.fixtures.full_disk import full_disk

if TYPE_CHECKING:
    from pathlib import Path

    from broker.ports import Recorder


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


def test_the_event_comes_before_the_file_and_the_end_after_it(tmp_path: Path) -> None:
    audit = FakeAudit(Journal())
    opened = SessionRecorder.open(session_of("s1"), tmp_path, audit, monotonic=lambda: 0.0)
    recorder: Recorder = opened  # it is what the gate needs
    recorder.output("grüße".encode())
    recorder.hidden_input(12)
    recorder.input("select 1")
    recorder.resize(100, 30)
    recorder.marker("allow r: x", routine=True)
    recorder.marker("deny r: x")
    opened.close("ended", 77)
    opened.close("ended", 77)
    kinds = [event.type for event in audit.events]
    assert kinds == [
        "recording.opened",
        "recording.chunk",
        "recording.chunk",
        "recording.close",
    ]
    recording = Library(tmp_path).open("s1")
    assert [(event.code, event.data) for event in recording.events()] == [
        ("o", "grüße"),
        ("i", "<hidden 12>"),
        ("i", "select 1"),
        ("r", "100x30"),
        ("m", "allow r: x"),
        ("m", "deny r: x"),
        ("x", "77"),
    ]
    about = recording.header["interlock"]
    assert about["session"] == "s1"
    assert about["identity"] == "human:alice@example.com@corp"
    assert {"acting_for", "target", "reason", "config", "node"} <= set(about)
    with pytest.raises(EvidenceFailure):
        recorder.output(b"late")


def test_no_event_no_file(tmp_path: Path) -> None:
    audit = FakeAudit(Journal(failing="audit"))
    with pytest.raises(EvidenceFailure):
        SessionRecorder.open(session_of("s1"), tmp_path, audit)
    assert list(tmp_path.iterdir()) == []


def test_no_file_no_session_and_the_log_still_verifies(broker: Broker) -> None:
    log = broker.open()
    (broker.state / "recordings").write_bytes(b"in the way")
    with pytest.raises(EvidenceFailure):
        broker.record(log, "s1")
    (broker.state / "recordings").unlink()
    log.close()
    assert verify(broker.state).open == ("s1",)
    again = broker.open()
    assert salvage_all(broker.state / "recordings", again) == ["s1"]
    again.close()
    report = verify(broker.state)
    assert (report.ok, report.open) == (True, ())


def test_when_the_log_fails_so_does_the_recorder(tmp_path: Path) -> None:
    audit = FakeAudit(Journal())
    now = [0.0]
    recorder = SessionRecorder.open(session_of("s1"), tmp_path, audit, monotonic=lambda: now[0])
    audit.journal.failing = "audit"
    now[0] = 11
    with pytest.raises(EvidenceFailure):
        recorder.marker("m")  # its sync completes a chunk, which the log refuses
    audit.journal.failing = None
    with pytest.raises(EvidenceFailure):
        recorder.output(b"y")


def test_a_full_disk_ends_the_recording_as_interrupted_and_the_log_verifies(
    broker: Broker,
) -> None:
    log = broker.open()
    recorder = broker.record(log, "s1")
    recorder.output(b"kept")
    with full_disk():
        with pytest.raises(EvidenceFailure, match="cannot be written"):
            recorder.output(b"x" * 5000)
        with pytest.raises(EvidenceFailure):
            recorder.marker("more")
    recorder.close("failed", None)
    log.append(events.session_closed(session_of("s1"), status="failed", exit_code=None))
    log.close()
    report = verify(broker.state)
    assert report.ok, report.problems
    recording = Library(broker.state / "recordings").open("s1")
    assert [event.data for event in recording.events()] == ["kept"]


def crashed(broker: Broker) -> Path:
    """A broker gone in the middle of a line."""
    log = broker.open()
    recorder = broker.record(log, "s1")
    recorder.output(b"in a chunk")
    broker.time.seconds += 11
    recorder.output(b"in it too")
    recorder.marker("also after it")  # synced: the chunk is told
    recorder.output(b"after it")
    path = broker.state / "recordings" / recorder.file
    with path.open("ab") as file:
        file.write(b'[11.0, "o", "ha')
    os.close(log._pending)
    return path


def test_a_crash_is_cleaned_up_at_the_next_start(broker: Broker) -> None:
    path = crashed(broker)
    assert verify(broker.state).ok
    log = broker.open()
    assert [story.sid for story in log.left_open] == ["s1"]
    assert salvage_all(broker.state / "recordings", log) == ["s1"]
    log.close()
    report = verify(broker.state)
    assert (report.ok, report.open, report.recordings) == (True, (), 1)
    assert json.loads(path.read_text().splitlines()[-1])[2] == "after it"
    again = broker.open()
    assert again.left_open == ()
    again.close()
    path.write_bytes(path.read_bytes().replace(b"after", b"AFTER"))
    assert not verify(broker.state).ok


@pytest.mark.parametrize("how", ["changed", "cut", "removed"])
def test_what_was_done_to_a_recording_after_the_crash_is_not_papered_over(
    broker: Broker, how: str
) -> None:
    path = crashed(broker)
    data = path.read_bytes()
    if how == "changed":
        path.write_bytes(data.replace(b"in a chunk", b"in a CHUNK"))
    elif how == "cut":
        path.write_bytes(data[: data.index(b"in it")])
    else:
        path.unlink()
    log = broker.open()
    salvage_all(broker.state / "recordings", log)
    log.close()
    assert not verify(broker.state).ok
    broker.open().close()  # and it does not keep the broker from starting
