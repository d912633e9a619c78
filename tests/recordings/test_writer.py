"""One recording file: what is written is there, whatever happens next; what fails, stays failed."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from recordings.asciicast import decode_event
from recordings.errors import RecordingFailed
from recordings.library import read
from recordings.writer import CHUNK_BYTES, Writer, file_name, measure, recover
from tests.fixtures.full_disk import full_disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Bench:
    """A writer, the time that it believes, and the chunks that it told of."""

    root: Path
    now: float = 100.0
    chunks: list[tuple[int, int, int, str]] = field(default_factory=list)

    @staticmethod
    def settled(writer: Writer) -> None:
        """Return once the background has synced what it was asked to."""
        while writer._file._asked or writer._file._busy.locked():
            os.sched_yield()

    def create(self, session_id: str = "s1") -> Writer:
        return Writer.create(
            self.root,
            session_id,
            {"width": 80, "height": 24},
            STARTED,
            lambda *chunk: self.chunks.append(chunk),
            lambda: self.now,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "recordings")


def test_every_event_is_in_the_file_when_its_call_returns(bench: Bench) -> None:
    writer = bench.create()
    assert writer.path == bench.root / "2026/01/02/s1.cast"
    acts: list[tuple[Callable[[], None], str]] = [
        (lambda: writer.output(b"hi\xe2\x82"), '"o", "hi"'),
        (lambda: writer.marker("allow r: select 1"), '"m", "allow r: select 1"'),
        (lambda: writer.output(b"\xac"), '"o", "€"'),
        (lambda: writer.input("select"), '"i", "select"'),
        (lambda: writer.resize(120, 40), '"r", "120x40"'),
    ]
    for act, last in acts:
        bench.now += 0.25
        act()
        assert writer.path.read_text().splitlines()[-1].endswith(last + "]")
    writer.close("ended", 0)
    times = [event.time for event in read(writer.path).events()]
    assert times == [0.25, 0.5, 0.75, 1.0, 1.25, 1.25]


def test_close_tells_the_whole_file_and_flushes_the_unfinished_character(bench: Bench) -> None:
    writer = bench.create()
    bench.now += 2
    writer.output(b"\xe2\x82")
    closed = writer.close("killed", None)
    data = writer.path.read_bytes()
    assert closed.size == len(data)
    assert closed.sha256 == hashlib.sha256(data).hexdigest()
    assert closed.ms == 2000
    assert [(e.code, e.data) for e in read(writer.path).events()] == [
        ("o", "\ufffd"),
        ("x", "killed"),
    ]
    assert closed.events == 2
    assert measure(writer.path) == closed


def test_chunks_cover_the_file_without_a_gap(bench: Bench) -> None:
    writer = bench.create()
    writer.output(b"x" * CHUNK_BYTES)
    bench.now += 11
    writer.output(b"later")
    writer.output(b"and more")
    writer.close("ended", 0)
    data, end = writer.path.read_bytes(), 0
    for number, (n, offset, length, sha256) in enumerate(bench.chunks):
        assert (n, offset) == (number, end)
        assert hashlib.sha256(data[offset : offset + length]).hexdigest() == sha256
        assert data[offset + length - 1 : offset + length] == b"\n"
        end += length
    assert end == len(data)
    assert len(bench.chunks) == 4  # header; 1 MiB; ten seconds; the rest


def test_a_quiet_session_is_still_chunked_by_the_tick(bench: Bench) -> None:
    writer = bench.create()
    writer.output(b"x")
    writer.tick()
    assert len(bench.chunks) == 1
    bench.now += 10
    writer.tick()
    bench.settled(writer)
    writer.tick()
    assert len(bench.chunks) == 2
    bench.now += 10
    writer.tick()
    bench.settled(writer)
    writer.tick()
    assert len(bench.chunks) == 2


@dataclass
class Disk:
    """The disk under a writer: it notes each sync, by whom, and can be held up, or broken."""

    synced: list[str] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    running: int = 0
    most: int = 0
    broken: bool = False

    def sync(self, descriptor: int) -> None:
        self.synced.append(threading.current_thread().name)
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.release()
        try:
            assert self.going.wait(10)
            if self.broken:
                raise OSError(errno.EIO, "Input/output error")
            self.real(descriptor)
        finally:
            self.running -= 1

    def __post_init__(self) -> None:
        self.real = os.fdatasync
        self.going.set()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(os, "fdatasync", made.sync)
    return made


def test_markers_are_synced_before_they_return_and_the_rest_once_a_second(
    bench: Bench, disk: Disk
) -> None:
    writer = bench.create()
    mine = threading.current_thread().name
    assert disk.synced == [mine]
    writer.output(b"a")
    writer.output(b"b")
    assert disk.synced == [mine]
    writer.marker("m")
    assert disk.synced == [mine, mine]
    bench.now += 1
    writer.output(b"c")
    bench.settled(writer)
    assert disk.synced == [mine, mine, "syncing"]
    writer.close("ended", 0)


def test_routine_markers_wait_for_no_disk_and_share_the_next_sync(bench: Bench, disk: Disk) -> None:
    writer = bench.create()
    disk.going.clear()
    begun = len(disk.synced)
    for number in range(50):
        writer.marker(f"allow r: {number}", routine=True)
        assert f'"allow r: {number}"' in writer.path.read_text()
    assert writer._file.synced < writer._file.written
    disk.going.set()
    bench.settled(writer)
    assert writer._file.synced == writer._file.written
    assert 1 <= len(disk.synced) - begun <= 2
    assert disk.most == 1
    writer.close("ended", 0)


def test_a_marker_that_counts_waits_for_the_sync_under_way_and_makes_its_own(
    bench: Bench, disk: Disk
) -> None:
    writer = bench.create()
    assert disk.begun.acquire(timeout=10)
    disk.going.clear()
    writer.marker("allow r: 1", routine=True)
    assert disk.begun.acquire(timeout=10)
    threading.Timer(0.01, disk.going.set).start()
    writer.marker("deny r: 2")
    assert writer._file.synced == writer._file.written
    assert disk.most == 1
    writer.close("ended", 0)


def test_no_chunk_is_told_before_it_is_on_disk(bench: Bench, disk: Disk) -> None:
    writer = bench.create()
    disk.going.clear()
    writer.output(b"x" * CHUNK_BYTES)
    writer.output(b"y")
    assert len(bench.chunks) == 1
    disk.going.set()
    bench.settled(writer)
    writer.output(b"z")
    assert len(bench.chunks) == 2
    writer.close("ended", 0)
    assert len(bench.chunks) == 3


def test_a_sync_that_fails_in_the_background_shuts_the_recording(bench: Bench, disk: Disk) -> None:
    writer = bench.create()
    disk.broken = True
    writer.marker("allow r: 1", routine=True)
    bench.settled(writer)
    disk.broken = False
    size = writer.path.stat().st_size
    with pytest.raises(RecordingFailed, match="cannot be written"):
        writer.output(b"the answer")
    with pytest.raises(RecordingFailed, match="closed"):
        writer.marker("m")
    assert writer.path.stat().st_size == size


def test_a_quiet_session_hears_of_it_by_the_tick(bench: Bench, disk: Disk) -> None:
    writer = bench.create()
    disk.broken = True
    writer.marker("allow r: 1", routine=True)
    bench.settled(writer)
    with pytest.raises(RecordingFailed):
        writer.tick()


def test_file_and_folders_are_the_owners_alone_and_never_overwritten(bench: Bench) -> None:
    writer = bench.create()
    assert writer.path.stat().st_mode & 0o777 == 0o600
    assert writer.path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(RecordingFailed):
        bench.create()


@pytest.mark.parametrize("session_id", ["", "../s", "a/b", ".", "-x", "s\n", "s" * 200, "é"])
def test_no_session_id_leads_out_of_the_root(session_id: str) -> None:
    with pytest.raises(RecordingFailed):
        file_name(session_id, STARTED)


def test_a_link_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    folder = bench.root / "2026/01/02"
    folder.mkdir(parents=True)
    (folder / "s1.cast").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordingFailed):
        bench.create()
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_an_answer_and_nothing_follows_half_a_line(bench: Bench) -> None:
    writer = bench.create()
    writer.output(b"kept")
    with full_disk(at=4096):
        with pytest.raises(RecordingFailed):
            writer.output(b"x" * 8192)
        size = writer.path.stat().st_size
        with pytest.raises(RecordingFailed):
            writer.output(b"small")
        with pytest.raises(RecordingFailed):
            writer.close("ended", 0)
    assert size == 4096  # the short write was continued, and then refused
    assert writer.path.stat().st_size == size
    recover(writer.path)
    assert [event.data for event in read(writer.path).events()] == ["kept"]


def test_a_closed_descriptor_is_an_answer(bench: Bench) -> None:
    writer = bench.create()
    os.close(writer._file._fd)
    with pytest.raises(RecordingFailed):
        writer.marker("m")
    writer.abandon()
    with pytest.raises(RecordingFailed):
        writer.tick()


def test_when_the_log_refuses_a_chunk_the_recording_ends(bench: Bench) -> None:
    def refuse(*_chunk: object) -> None:
        msg = "no"
        raise LookupError(msg)

    writer = bench.create()
    writer._on_chunk = refuse
    bench.now += 10
    writer.output(b"x")
    bench.settled(writer)
    with pytest.raises(LookupError):
        writer.output(b"x")
    with pytest.raises(RecordingFailed):
        writer.output(b"y")


@pytest.mark.parametrize("cut", [1, 5, 70_000, 70_100])
def test_recovery_cuts_to_the_last_whole_line(bench: Bench, cut: int) -> None:
    writer = bench.create()
    writer.output(b"first")
    kept = writer.path.stat().st_size
    writer.output(b"y" * 70_200)
    writer.abandon()
    os.truncate(writer.path, writer.path.stat().st_size - cut)
    assert recover(writer.path) == kept
    assert writer.path.stat().st_size == kept
    assert decode_event(writer.path.read_bytes().splitlines()[-1]).data == "first"
    assert recover(writer.path) == kept


def test_recovery_of_a_header_cut_short_leaves_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "s.cast"
    path.write_bytes(b'{"version"')
    assert recover(path) == 0
    assert measure(path).events == 0
