"""A recording plays in the stock asciinema 2.4.0, run as a program in a terminal."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pytest

from recordings.writer import Writer

PLAYER = Path(sys.executable).with_name("asciinema")

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("words", [["play", "-i", "0.01"], ["cat"]], ids=["play", "cat"])
def test_stock_asciinema_plays_every_kind_of_event(tmp_path: Path, words: list[str]) -> None:
    now = [0.0]
    writer = Writer.create(
        tmp_path,
        "s1",
        {"width": 80, "height": 24, "timestamp": 1, "interlock": {"session": "s1", "reason": None}},
        datetime(2026, 1, 1, tzinfo=UTC),
        lambda *_: None,
        lambda: now[0],
    )
    writer.output("orders=> grüße €\x1b[1m bold\x1b[0m\u009b\r\n".encode())
    writer.input("select 1")
    writer.marker("allow agents-read: select 1")
    writer.resize(120, 40)
    now[0] += 5
    writer.output(b"\xe2\x82")
    writer.output(b"\xac done \xff\r\n")
    writer.close("ended", 0)
    child = pexpect.spawn(
        str(PLAYER),
        [*words, str(writer.path)],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(tmp_path), "TERM": "xterm"},
        timeout=20,
    )
    child.expect(pexpect.EOF)
    shown = child.before or b""
    assert isinstance(shown, bytes)
    child.close()
    assert child.exitstatus == 0, shown
    assert "grüße €".encode() in shown
    assert "€ done \ufffd".encode() in shown
    assert b"select 1" not in shown
