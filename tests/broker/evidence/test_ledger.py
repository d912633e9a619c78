"""What the log says of recordings: impossible stories are problems, files must agree."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from broker.evidence.files import listed
from broker.evidence.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

FILE = "2026/01/01/s1.cast"
DATA = b"header\nfirst\nlast\n"


def told(kind: str, sid: str | None = "s1", **rec: Any) -> dict[str, Any]:
    return {"seq": 5, "type": kind, "sid": sid, "rec": rec}


def chunk(n: int, off: int, length: int) -> dict[str, Any]:
    sha256 = hashlib.sha256(DATA[off : off + length]).hexdigest()
    return told("recording.chunk", n=n, off=off, len=length, sha256=sha256)


def close(status: str = "ended", size: int = len(DATA)) -> dict[str, Any]:
    sha256 = hashlib.sha256(DATA[:size]).hexdigest()
    return told("recording.close", file=FILE, bytes=size, sha256=sha256, status=status)


OPENED = told("recording.opened", file=FILE)
HEAD, REST = chunk(0, 0, 7), chunk(1, 7, len(DATA) - 7)
SESSION_CLOSED = {"seq": 9, "type": "session.closed", "sid": "s1"}


def problems(root: Path, entries: list[dict[str, Any]], data: bytes | None = DATA) -> list[str]:
    if data is not None:
        path = root / FILE
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    ledger = Ledger()
    for entry in entries:
        ledger.read(entry)
    return list(ledger.compare(root, listed(root)))


GOOD: dict[str, tuple[list[dict[str, Any]], bytes | None]] = {
    "closed": ([OPENED, HEAD, REST, close(), SESSION_CLOSED], DATA),
    "running": ([OPENED, HEAD], DATA),
    "opened, and the file not there yet": ([OPENED], None),
    "never begun": ([OPENED, close("interrupted", 0)], None),
    "interrupted: the tail is in the closing hash alone": (
        [OPENED, HEAD, SESSION_CLOSED, close("interrupted")],
        DATA,
    ),
    "about something else": ([{"seq": 1, "type": "login.granted", "sid": None}], None),
}

BAD: dict[str, tuple[list[dict[str, Any]], bytes | None]] = {
    "no event": ([], DATA),
    "the file is gone": ([OPENED, HEAD], None),
    "the closed file is gone": ([OPENED, close("interrupted")], None),
    "longer than it was closed": ([OPENED, HEAD, REST, close()], DATA + b"x"),
    "shorter than its chunks": ([OPENED, HEAD, REST], DATA[:-1]),
    "changed within a chunk": ([OPENED, HEAD], b"Header\nfirst\nlast\n"),
    "changed after the chunks": (
        [OPENED, HEAD, close("interrupted")],
        DATA.replace(b"last", b"LAST"),
    ),
    "a tail without a chunk": ([OPENED, HEAD, close()], DATA),
    "its session is over": ([OPENED, HEAD, SESSION_CLOSED], DATA),
    "opened twice": ([OPENED, OPENED, HEAD, REST, close()], DATA),
    "closed twice": ([OPENED, HEAD, REST, close(), close()], DATA),
    "a chunk after the end": ([OPENED, HEAD, close("interrupted"), REST], DATA),
    "a chunk left out": ([OPENED, REST], DATA),
    "a chunk out of place": ([OPENED, HEAD, chunk(1, 8, 3)], DATA),
    "an empty chunk": ([OPENED, HEAD, chunk(1, 7, 0)], DATA),
    "never opened": ([HEAD], None),
    "closed smaller than its chunks": ([OPENED, HEAD, REST, close("ended", 3)], DATA[:3]),
    "no session": ([told("recording.opened", None)], None),
    "out of the root": ([told("recording.opened", file="../../x.cast")], None),
    "absolute": ([told("recording.opened", file="/etc/passwd")], None),
    "no record at all": ([{"seq": 1, "type": "recording.chunk", "sid": "s1"}], None),
}


@pytest.mark.parametrize("story", GOOD)
def test_what_can_be_is_no_problem(tmp_path: Path, story: str) -> None:
    assert problems(tmp_path, *GOOD[story]) == []


@pytest.mark.parametrize("story", BAD)
def test_what_cannot_be_is_a_problem(tmp_path: Path, story: str) -> None:
    assert problems(tmp_path, *BAD[story])


def test_a_folder_in_place_of_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir(parents=True)
    assert problems(tmp_path, [OPENED, HEAD], None)
