"""The open log: nothing that was appended is lost, nothing that fails goes unnoticed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import EvidenceFailure
from broker.events import Event
from broker.evidence import entry, pending
from broker.evidence.keys import load_public
from broker.evidence.note import Checkpoint, opened
from broker.evidence.tiles import required, unbundle
from broker.evidence.verify import verify
from tests.broker.evidence.states import NAME, Broker, Time, fact

if TYPE_CHECKING:
    from broker.evidence.log import AuditLog


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


def entries(broker: Broker) -> list[dict[str, object]]:
    folder = broker.state / "log/tile/entries"
    data = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        entry.decode(raw, seq)
        for seq, raw in enumerate(raw for tile in data for raw in unbundle(tile))
    ]


def waiting(broker: Broker) -> list[bytes]:
    data = (broker.state / "log/pending").read_bytes()
    return [raw for _, raw in pending.decode(data).records]


def size_signed(broker: Broker) -> int:
    key = load_public(broker.state / "keys")
    return Checkpoint.parse(opened((broker.state / "log/checkpoint").read_bytes(), key)).size


def files(broker: Broker) -> set[str]:
    log = broker.state / "log"
    return {path.relative_to(log).as_posix() for path in log.rglob("*") if path.is_file()}


def test_an_entry_is_in_the_file_when_append_returns(broker: Broker) -> None:
    log = broker.open()
    log.append(fact(1))
    assert [entry.decode(raw, 0)["number"] for raw in waiting(broker)] == [1]
    assert size_signed(broker) == 0
    log.close()


def test_a_durable_entry_is_under_a_signed_checkpoint_when_append_returns(broker: Broker) -> None:
    log = broker.open()
    log.append(fact(1))
    log.append(fact(2), durable=True)
    assert size_signed(broker) == 2
    assert waiting(broker) == []
    assert [found["number"] for found in entries(broker)] == [1, 2]
    log.close()


def test_the_files_are_exactly_those_of_the_format_at_every_size(broker: Broker) -> None:
    log = broker.open()
    for number in range(515):
        log.append(fact(number), durable=number % 7 == 0)
        if number % 7 == 0:
            tiles = {tile.path for tile in required(number + 1)}
            assert files(broker) == tiles | {"checkpoint", "pending"}
    log.close()
    assert verify(broker.state).entries == 515


def test_each_step_of_sealing_is_on_disk_before_the_next(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = broker.open()
    calls: list[tuple[str, str]] = []
    for name in ("fdatasync", "fsync", "rename", "ftruncate"):
        monkeypatch.setattr(os, name, _told(name, getattr(os, name), calls))
    log.append(fact(0), durable=True)
    made = {path for name, path in calls if name == "fsync"}
    assert made >= {".", "tile", "tile/0", "tile/entries"}  # new folders have a name on disk too
    calls.clear()
    log.append(fact(1), durable=True)
    monkeypatch.undo()
    log.close()
    written = ["tile/0/000.p/2", "tile/entries/000.p/2", "checkpoint"]
    expected = [("fdatasync", "pending")]
    for path in written:
        folder = path.rpartition("/")[0] or "."
        expected += [("fdatasync", "next"), ("rename", path), ("fsync", folder)]
    expected.append(("ftruncate", "pending"))
    assert calls == expected


def _told(name: str, real: object, calls: list[tuple[str, str]]) -> object:
    def told(first: object, *rest: object, **named: object) -> object:
        at = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else rest[0]
        path = str(at).rpartition("/log")[2].strip("/")
        calls.append((name, path or "."))
        assert callable(real)
        return real(first, *rest, **named)

    return told


def test_files_are_the_owners_alone(broker: Broker) -> None:
    broker.open().close()
    for path in (broker.state / "log").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=5))
def test_a_log_opened_again_and_again_is_one_log(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, bool]]
) -> None:
    broker, total = Broker(tmp_path_factory.mktemp("state")), 0
    for count, sealed in runs:
        log = broker.open()
        assert log.size == total
        for number in range(count):
            log.append(fact(total + number))
        total += count
        if sealed:
            log.close()
        else:
            os.close(log._pending)  # gone without a word, as after a kill
    broker.open().close()
    assert verify(broker.state).ok
    assert [found["number"] for found in entries(broker)] == list(range(total))


def test_one_process_at_a_time_holds_the_log(broker: Broker) -> None:
    log = broker.open()
    with pytest.raises(EvidenceFailure, match="in use"):
        broker.open()
    log.append(fact(1))  # the refused one has done no harm
    log.close()
    broker.open().close()
    assert verify(broker.state).ok


def test_after_close_nothing_is_taken(broker: Broker) -> None:
    log = broker.open()
    log.close()
    log.close()
    with pytest.raises(EvidenceFailure, match="closed"):
        log.append(fact(1))
    with pytest.raises(EvidenceFailure, match="closed"):
        log.seal()


def test_the_logs_time_never_runs_backwards_and_ids_keep_what_the_clock_said(
    broker: Broker,
) -> None:
    log = broker.open()
    log.append(fact(1))
    broker.time.now -= timedelta(hours=1)
    log.append(fact(2))
    log.close()
    again = broker.open()
    again.append(fact(3))
    again.close()
    found = entries(broker)
    assert found[0]["ts_ms"] == found[1]["ts_ms"] == found[2]["ts_ms"]
    assert str(found[1]["id"]) < str(found[2]["id"]) < str(found[0]["id"])
    assert verify(broker.state).ok


async def test_the_timer_seals_and_tells_of_failure(broker: Broker) -> None:
    log = broker.open()
    log.append(fact(1))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(log.keep_sealed(0.001), 0.05)
    assert size_signed(broker) == 1
    log.close()
    with pytest.raises(EvidenceFailure):
        await asyncio.wait_for(log.keep_sealed(0.001), 5)


# -- a disk that fails ---------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "rename", "ftruncate", "open"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_failing_disk_shuts_the_log_for_good_and_what_was_told_durable_stays(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    log = broker.open()
    log.append(fact(0), durable=True)
    log.append(fact(1))
    left = [nth]
    real = getattr(os, call)

    def fails(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    told = 2
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with suppress(EvidenceFailure):
            for number in range(2, 12):
                log.append(fact(number), durable=True)
                told = number + 1
    assert told < 12
    with pytest.raises(EvidenceFailure):
        log.append(fact(99))
    with pytest.raises(EvidenceFailure):
        log.seal()
    log.close()
    again = broker.open()
    again.close()
    assert verify(broker.state).ok
    numbers = [found["number"] for found in entries(broker)]
    assert numbers[:told] == list(range(told))
    assert 99 not in numbers


def test_an_interrupt_half_way_shuts_the_log_too(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = broker.open()

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(log, "_grow", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append(fact(0), durable=True)
    with pytest.raises(EvidenceFailure, match="KeyboardInterrupt"):
        log.append(fact(1))
    broker.open().close()
    assert [found["number"] for found in entries(broker)] == [0]


def test_an_event_that_is_no_json_shuts_the_log(broker: Broker) -> None:
    log = broker.open()
    with pytest.raises(EvidenceFailure):
        log.append(Event("t", "a", {"f": 1.5}))  # type: ignore[dict-item]
    with pytest.raises(EvidenceFailure):
        log.append(fact(1))


# -- a log that was left ---------------------------------------------------------------------------


def left_with(broker: Broker, count: int) -> AuditLog:
    log = broker.open()
    log.append(fact(0), durable=True)
    for number in range(1, count):
        log.append(fact(number))
    os.close(log._pending)
    return log


@pytest.mark.parametrize("cut", [1, 8, 20, 60])
def test_a_torn_last_record_is_dropped_and_whole_ones_are_kept(broker: Broker, cut: int) -> None:
    left_with(broker, 4)
    path = broker.state / "log/pending"
    os.truncate(path, path.stat().st_size - cut)
    log = broker.open()
    assert log.size == 3
    assert log.torn > 0
    log.append(fact(3))
    log.close()
    assert verify(broker.state).ok
    assert [found["number"] for found in entries(broker)] == [0, 1, 2, 3]


def test_a_crash_at_any_step_of_sealing_leaves_a_whole_log(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop a seal after each of its steps, as a power cut would, and go on from there."""
    steps, number = 1, 0
    while True:
        log = broker.open()
        for _ in range(150):
            log.append(fact(number))
            number += 1
        left = [steps]
        with monkeypatch.context() as patch:
            for name in ("rename", "ftruncate", "unlink"):
                patch.setattr(os, name, _counted(getattr(os, name), left))
            try:
                log.seal()
            except EvidenceFailure:
                steps += 1
                assert verify(broker.state).ok
                continue
        log.close()
        break
    assert steps > 5
    broker.open().close()
    assert [found["number"] for found in entries(broker)] == list(range(number))


def _counted(real: object, left: list[int]) -> object:
    def counted(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "power cut")
        assert callable(real)
        return real(*args, **kwargs)

    return counted


@pytest.mark.parametrize(
    "damage",
    [
        "log/checkpoint",
        "log/pending",
        "log/tile/0/000",
        "log/tile/0/001.p/44",
        "log/tile/1/000.p/1",
        "log/tile/entries/000",
        "log/tile/entries/001.p/44",
    ],
)
@pytest.mark.parametrize("how", ["flip", "remove"])
def test_a_log_that_does_not_verify_is_not_continued(broker: Broker, damage: str, how: str) -> None:
    log = broker.open()
    for number in range(300):
        log.append(fact(number))
    log.seal()
    log.append(fact(300))
    log.append(fact(301))
    os.close(log._pending)
    path = broker.state / damage
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    if how == "flip":
        path.write_bytes(data)
    else:
        path.unlink()
    if (damage, how) == ("log/pending", "remove"):
        assert not verify(broker.state).ok  # all that was not sealed can be cut off unseen
        return
    if (damage, how) == ("log/pending", "flip"):
        again = broker.open()  # no telling a forged tail from a torn one
        assert again.torn > 0
        again.close()
        return
    with pytest.raises(EvidenceFailure):
        broker.open()


def test_a_log_of_another_key_is_not_continued(tmp_path: Path) -> None:
    one, other = Broker(tmp_path / "one"), Broker(tmp_path / "other")
    one.open().close()
    other.open().close()
    (one.state / "log").rename(other.state / "log2")
    (other.state / "log").rename(one.state / "log")
    with pytest.raises(EvidenceFailure, match="not carry exactly one signature"):
        one.open()


KILLED = """
import sys
from pathlib import Path
from tests.broker.evidence.states import Broker, fact
log = Broker(Path(sys.argv[1])).open()
number = 0
while True:
    log.append(fact(number), durable=number % 10 == 0)
    number += 1
    print(number, flush=True)
"""


def test_what_was_appended_survives_kill_9(broker: Broker) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(broker.state)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(95):
        told = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split("\n")
    told = max([told, *(int(line) for line in rest[:-1])])
    child.stdout.close()
    assert child.wait(10) == -signal.SIGKILL
    assert verify(broker.state).ok
    broker.time = Time()
    log = broker.open()
    assert log.size >= told
    log.close()
    assert verify(broker.state).entries >= told
    assert load_public(broker.state / "keys").name == NAME
