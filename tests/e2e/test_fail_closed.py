"""A recorder or a log that cannot be written ends sessions with 70 and a sentence; nothing passes.

The failure is real: the kernel refuses the broker's next write, as a full disk would.
"""

from __future__ import annotations

import resource
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from broker.evidence.verify import verify
from tests.fixtures.forward import forwarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer


@contextmanager
def disk_full(demo: Demo, at: int = 0) -> Iterator[None]:
    """Inside the block no file of the broker's can grow past `at` bytes."""
    _, hard = resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, (at, hard))
    try:
        yield
    finally:
        resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def test_a_full_disk_refuses_new_sessions_and_nothing_reaches_the_target(own_demo: Demo) -> None:
    assert own_demo.ssh("orders@agent", "SELECT 1").returncode == 0
    own_demo.ssh("broker@approver", "whoami")
    with disk_full(own_demo):
        ran = own_demo.ssh("orders@agent", "SELECT 'never sent'")
        assert ran.returncode == 70
        assert "interlock: " in ran.stderr
        assert "Traceback" not in ran.stderr
        assert own_demo.ssh("box@agent", "touch never").returncode == 70
    assert not own_demo.database_saw("never sent")
    assert not (own_demo.folder / "box" / "never").exists()


def test_a_running_session_ends_when_its_recording_cannot_be_written(own_demo: Demo) -> None:
    statement = "SELECT repeat('x', 100) FROM generate_series(1, 9000)"
    with disk_full(own_demo, at=200_000):
        ran = own_demo.ssh("orders@agent", statement)
    assert ran.returncode == 70, ran.stderr
    assert "Nothing more was sent to the target" in ran.stderr
    assert len(ran.stdout) < 400_000


def test_a_waiting_statement_is_not_sent_when_the_log_fails(own_demo: Demo) -> None:
    asking = own_demo.begin("orders@agent", "DELETE FROM refunds WHERE id = 3")
    card = own_demo.waiting("id = 3")
    with disk_full(own_demo):
        own_demo.ssh("broker@approver", f"approve {card['id']}")
        asking.communicate(timeout=40)
    assert asking.returncode != 0
    assert not own_demo.database_saw("id = 3")


def test_a_forwarded_session_ends_too(own_demo: Demo) -> None:
    with forwarded(own_demo, "agent") as port, disk_full(own_demo):
        ran = own_demo.psql(port, "SELECT 'never sent'")
    assert ran.returncode == 2
    assert "interlock: " in ran.stderr
    assert not own_demo.database_saw("never sent")


def test_after_a_kill_everything_acknowledged_is_there_and_verifies(own_demo: Demo) -> None:
    assert own_demo.ssh("orders@agent", "SELECT 'acknowledged'").returncode == 0
    waiting = own_demo.begin("orders@agent", "DELETE FROM refunds WHERE id = 3")
    card = own_demo.waiting("id = 3")
    own_demo.process.send_signal(signal.SIGKILL)
    own_demo.process.wait()
    waiting.communicate(timeout=30)
    state = own_demo.folder / "state"
    report = verify(state)
    assert report.ok, report.problems
    said = {event.get("statement") for event in own_demo.events()}
    assert any("acknowledged" in text for text in said if text)
    assert card["id"] in {event.get("review") for event in own_demo.events()}
    subprocess.run(["pkill", "-f", str(own_demo.folder)], check=False)
