"""Reading a log that changes under the reader: what was replaced is found, what is gone is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from broker.evidence import pending, replay
from broker.evidence.keys import load_public
from tests.broker.evidence.states import Broker, fact

if TYPE_CHECKING:
    from pathlib import Path

    from broker.evidence.log import AuditLog
    from broker.evidence.replay import Replay


def read(state: Path) -> Replay:
    return replay.replay(state / "log", load_public(state / "keys"))


def begun(state: Path, count: int = 3) -> AuditLog:
    log = Broker(state).open()
    for number in range(count):
        log.append(fact(number))
    log.seal()
    return log


@pytest.mark.parametrize("more", [1, 253, 300])
def test_a_tile_replaced_between_listing_and_reading_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """The broker seals right after the checkpoint was read: all partial tiles get new names."""
    log = begun(tmp_path)
    real, left = replay._read, [3]

    def reading(path: Path) -> bytes | None:
        data = real(path)
        left[0] -= 1
        if left[0] == 0:  # checkpoint, pending, checkpoint: the snapshot is taken
            for number in range(more):
                log.append(fact(number))
            log.seal()
        return data

    monkeypatch.setattr(replay, "_read", reading)
    found = read(tmp_path)
    assert found.problems == []
    assert found.size == 3
    log.close()


def test_a_seal_in_the_middle_of_the_snapshot_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = begun(tmp_path)
    log.append(fact(3))
    real, left = replay._read, [1]

    def reading(path: Path) -> bytes | None:
        data = real(path)
        left[0] -= 1
        if left[0] == 0:  # between checkpoint and pending
            log.seal()
            log.append(fact(4))
        return data

    monkeypatch.setattr(replay, "_read", reading)
    found = read(tmp_path)
    assert found.problems == []
    assert (found.size, len(found.waiting)) == (4, 1)
    log.close()


def test_a_tile_that_is_gone_without_a_wider_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path).close()
    real, left = replay._read, [3]

    def reading(path: Path) -> bytes | None:
        data = real(path)
        left[0] -= 1
        if left[0] == 0:
            (tmp_path / "log/tile/entries/000.p/3").unlink()
        return data

    monkeypatch.setattr(replay, "_read", reading)
    assert read(tmp_path).problems == ["log/tile/entries/000.p/3: missing"]


def test_pending_records_that_are_sealed_already_must_be_the_same(tmp_path: Path) -> None:
    log = begun(tmp_path)
    entries = list(log._bundle)
    log.close()
    path = tmp_path / "log/pending"
    path.write_bytes(b"".join(pending.encode(n, entry) for n, entry in enumerate(entries)))
    assert read(tmp_path).problems == []
    forged = entries[1].replace(b'"number":1', b'"number":7')
    path.write_bytes(pending.encode(1, forged) + pending.encode(2, entries[2]))
    assert read(tmp_path).problems == ["log/pending: entry 1 is not the one that was sealed"]


@pytest.mark.parametrize("indices", [[3, 5], [4], [0], [1, 0], [3, 3]])
def test_pending_records_must_continue_the_log(tmp_path: Path, indices: list[int]) -> None:
    log = begun(tmp_path)
    entry = log._bundle[0]
    log.close()
    records = b"".join(pending.encode(index, entry) for index in indices)
    (tmp_path / "log/pending").write_bytes(records)
    assert read(tmp_path).problems


def test_problems_are_told_but_not_without_end(tmp_path: Path) -> None:
    log = begun(tmp_path)
    for number in range(80):
        (tmp_path / f"log/junk{number}").write_bytes(b"")
    log.close()
    assert len(read(tmp_path).problems) == 50


@pytest.mark.parametrize(
    "name", ["checkpoint", "pending", "tile/0/000.p/3", "tile/entries/000.p/3"]
)
@pytest.mark.parametrize("instead", ["folder", "pipe", "link"])
def test_what_is_no_plain_file_is_a_problem(tmp_path: Path, name: str, instead: str) -> None:
    begun(tmp_path).close()
    path = tmp_path / "log" / name
    path.rename(tmp_path / "moved")
    if instead == "folder":
        path.mkdir()
    elif instead == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "moved")
    assert read(tmp_path).problems
