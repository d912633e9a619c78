"""The auditor's question, put to a log that somebody has been at, and to one in use."""

from __future__ import annotations

import os
import random
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from broker.evidence import merkle
from broker.evidence.keys import load_or_create, load_public
from broker.evidence.note import Checkpoint, VerifierKey, signed
from broker.evidence.tiles import bundle, unbundle
from broker.evidence.verify import verify
from tests.broker.evidence.states import NAME, Broker, fact, make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("sealed")
    make(state)
    return state


def evidence(state: Path) -> list[Path]:
    places = [*(state / "log").rglob("*"), *(state / "recordings").rglob("*")]
    return sorted([path for path in places if path.is_file()] + [state / "keys/log.pub"])


def test_what_nobody_touched_is_ok(sealed: Path) -> None:
    report = verify(sealed)
    assert report.ok, report.problems
    assert report.recordings == 2
    assert report.entries > 300
    assert (report.pending, report.open) == (0, ())
    assert report.as_json() == {
        "ok": True,
        "entries": report.entries,
        "recordings": 2,
        "problems": [],
    }


def flip(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def delete(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + data[at + dice.choice([1, 2, 32, 100]) :]


def insert(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice([b"\0", b"\n", b" ", b"0", dice.randbytes(40)]) + data[at:]


def swap(data: bytes, dice: random.Random) -> bytes:
    size = dice.choice([1, 16, 32])
    if len(data) < 2 * size:
        return data
    one, two = sorted(dice.sample(range(len(data) - size + 1), 2))
    if two < one + size:
        return data
    parts = (data[:one], data[two : two + size], data[one + size : two], data[one : one + size])
    return b"".join(parts) + data[two + size :]


def truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


@pytest.mark.parametrize("mutate", [flip, delete, insert, swap, truncate])
def test_no_altered_byte_goes_unseen(
    sealed: Path, mutate: Callable[[bytes, random.Random], bytes]
) -> None:
    dice = random.Random(mutate.__name__)  # noqa: S311
    tried = 0
    for path in evidence(sealed):
        data = path.read_bytes()
        for _ in range(9):
            changed = mutate(data, dice) if data or mutate is insert else data
            if changed == data:
                continue
            path.write_bytes(changed)
            report = verify(sealed)
            path.write_bytes(data)
            assert not report.ok, (path, changed)
            assert report.problems
            tried += 1
    assert tried >= 50
    assert verify(sealed).ok


def test_no_missing_file_goes_unseen(sealed: Path) -> None:
    for path in evidence(sealed):
        data = path.read_bytes()
        path.unlink()
        assert not verify(sealed).ok, path
        path.write_bytes(data)
    assert verify(sealed).ok


@pytest.mark.parametrize(
    "name",
    [
        "log/extra",
        "log/tile/0/002",
        "log/tile/0/001.p/200",
        "log/tile/entries/002.p/1",
        "log/tile/7/000.p/1",
        "log/tile/0/000.p/256",
        "recordings/2026/01/01/s3.cast",
        "recordings/note.txt",
    ],
)
def test_no_file_can_be_added(sealed: Path, name: str) -> None:
    path = sealed / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 32)
    report = verify(sealed)
    path.unlink()
    assert not report.ok
    assert any(name.removeprefix("recordings/") in problem for problem in report.problems)


def test_a_link_in_place_of_a_file_or_folder_is_seen(sealed: Path, tmp_path: Path) -> None:
    for path in (sealed / "recordings/2026/01/01/s1.cast", sealed / "log/tile/0/000"):
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "moved")
        assert not verify(sealed).ok
        path.unlink()
        (tmp_path / "moved").rename(path)
    link = sealed / "recordings/more"
    link.symlink_to(tmp_path)
    assert not verify(sealed).ok
    link.unlink()
    assert verify(sealed).ok


def test_two_entries_swapped_are_seen_even_when_every_tile_is_made_anew(
    sealed: Path, tmp_path: Path
) -> None:
    """Somebody who may write every file but does not hold the key."""
    state = tmp_path / "state"
    shutil.copytree(sealed, state)
    path = state / "log/tile/entries/000"
    entries = unbundle(path.read_bytes())
    entries[10], entries[11] = entries[11], entries[10]
    path.write_bytes(bundle(entries))
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    (state / "log/tile/0/000").write_bytes(b"".join(hashes))
    (state / "log/tile/1/000.p/1").write_bytes(merkle.root(hashes))
    report = verify(state)
    assert not report.ok
    assert any("checkpoint" in problem for problem in report.problems)


def test_who_holds_the_key_is_seen_by_a_key_kept_elsewhere(sealed: Path, tmp_path: Path) -> None:
    kept = load_public(sealed / "keys")
    other = Broker(tmp_path)
    log = other.open()
    log.append(fact(1))
    log.close()
    assert verify(tmp_path).ok
    assert not verify(tmp_path, kept).ok


def test_a_checkpoint_of_another_name_under_our_key_is_refused(
    sealed: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    shutil.copytree(sealed, state)
    key = load_or_create(state / "keys", NAME)
    head = Checkpoint("another", 0, merkle.EMPTY)
    (state / "log/checkpoint").write_bytes(signed(head.text, NAME, key.private))
    assert verify(state).problems[0] == "log/checkpoint: of another log"


@pytest.mark.parametrize("present", [[], ["log"], ["log", "keys"]])
def test_what_is_missing_is_a_problem_and_not_a_traceback(
    tmp_path: Path, present: list[str]
) -> None:
    for name in present:
        (tmp_path / name).mkdir()
    for key in (None, VerifierKey("a", bytes(32))):
        report = verify(tmp_path, key)
        assert not report.ok
        assert len(report.problems) == 1


def test_the_unsealed_tail_is_checked_too(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    log = broker.open()
    log.append(fact(0), durable=True)
    for number in range(1, 6):
        log.append(fact(number))
    os.close(log._pending)
    report = verify(tmp_path)
    assert (report.ok, report.entries, report.pending) == (True, 1, 5)
    path, dice = tmp_path / "log/pending", random.Random(3)  # noqa: S311
    data = path.read_bytes()
    for mutate in (flip, delete, insert, swap):
        for _ in range(8):
            changed = mutate(data, dice)
            if changed != data:
                path.write_bytes(changed)
                assert not verify(tmp_path).ok
    path.write_bytes(data)
    assert verify(tmp_path).ok


def test_a_recording_that_still_runs_is_open_and_its_chunks_are_checked(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    log = broker.open()
    recorder = broker.record(log, "s1")
    recorder.output(b"not yet in a chunk")
    report = verify(tmp_path)
    assert (report.ok, report.open, report.recordings) == (True, ("s1",), 1)
    path = tmp_path / "recordings" / recorder.file
    data = path.read_bytes()
    path.write_bytes(data.replace(b"orders", b"others"))
    assert not verify(tmp_path).ok
    path.write_bytes(data)
    recorder.close("ended", 0)
    log.close()
    assert verify(tmp_path).open == ()


def test_a_broker_at_work_gives_no_false_alarm(tmp_path: Path) -> None:
    """Verify over and over while a broker appends, seals, records, and completes tiles."""
    broker = Broker(tmp_path)
    log = broker.open()
    done, failed = threading.Event(), []

    def work() -> None:
        number = 0
        try:
            while not done.is_set():
                recorder = broker.record(log, f"s{number}")
                for _ in range(40):
                    log.append(fact(number), durable=number % 7 == 0)
                    broker.time.seconds += 1
                    recorder.output(b"x" * 50)
                    number += 1
                recorder.close("ended", 0)
            log.close()
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        rounds = 0
        while rounds < 25 or verify(tmp_path).entries < 400:
            report = verify(tmp_path)
            assert report.ok, report.problems
            rounds += 1
    finally:
        done.set()
        thread.join(20)
    assert not failed
    assert verify(tmp_path).ok
