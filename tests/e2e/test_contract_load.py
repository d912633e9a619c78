"""Many at once, much at once, and clients that stop reading: the broker stays small and answers."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.served import until

if TYPE_CHECKING:
    from tests.fixtures.company import Company

pytestmark = pytest.mark.peer

GROWTH = 48 * 1024  # KiB that a session of any size may add


def _resident(company: Company) -> int:
    status = Path(f"/proc/{company.broker.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_twenty_sessions_at_once_each_get_their_own(company: Company) -> None:
    asked = [company.engineer.begin("orders", f"SELECT {n} AS n") for n in range(100, 110)]
    asked += [company.engineer.begin("box", f"echo {n}") for n in range(110, 120)]
    for n, process in zip(range(100, 120), asked, strict=True):
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, err
        assert str(n) in out.split()


@pytest.mark.timeout(120)
def test_a_large_output_is_whole_and_the_broker_stays_small(company: Company) -> None:
    before, size = _resident(company), 20_000_000
    line = "0123456789" * 8
    reading = company.engineer.begin("box", f"yes {line} | head -c {size}")
    assert reading.stdout is not None
    seen = 0
    while chunk := reading.stdout.read(1 << 20):
        seen += len(chunk)
    reading.communicate(timeout=20)
    assert seen == size
    assert _resident(company) - before < GROWTH


def test_a_client_that_stops_reading_costs_nothing(company: Company) -> None:
    before = _resident(company)
    stalled = company.engineer.begin("box", "yes stalled")
    try:
        stalled.send_signal(signal.SIGSTOP)
        recordings = company.broker.state / "recordings"

        def settled() -> bool:
            sizes = []
            for _ in range(2):
                sizes.append(sum(file.stat().st_size for file in recordings.rglob("*.cast")))
                assert company.engineer.ssh("broker", "pending").returncode == 0
            return sizes[0] == sizes[1]

        until(settled)
        assert _resident(company) - before < GROWTH
    finally:
        stalled.send_signal(signal.SIGCONT)
        stalled.kill()
        stalled.communicate(timeout=20)
    until(lambda: not subprocess.run(["pgrep", "-xf", "yes stalled"], check=False).stdout)


def test_many_channels_of_one_connection_share_nothing(company: Company, tmp_path: Path) -> None:
    path = tmp_path / "control"
    master = company.engineer.begin("-M", "-S", str(path), "-N", "box")
    try:
        until(path.exists)
        words = ("-S", str(path), "box")
        asked = [company.engineer.begin(*words, f"echo {n}; exit {n}") for n in range(1, 9)]
        refused = company.engineer.begin(*words, "rm x")
        for n, process in enumerate(asked, 1):
            out, err = process.communicate(timeout=40)
            assert (process.returncode, out) == (n, f"{n}\n"), err
        refused.communicate(timeout=40)
        assert refused.returncode == 77
        mine = [s for s in company.engineer.json("sessions")[:9] if s["target"] == "box"]
        assert len({s["recording"] for s in mine}) == 9
        assert sorted(s["exit"] for s in mine) == [*range(1, 9), 77]
    finally:
        master.terminate()
        master.communicate(timeout=20)
