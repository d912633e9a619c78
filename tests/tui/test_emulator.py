"""The emulator takes anything: it draws what is text, and the rest ends there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tui.test_text import HOSTILE, inert
from tui.emulator import COLUMNS_LIMIT, ROWS_LIMIT, Emulator

PIECES = st.one_of(
    st.sampled_from(
        ["\x1b[", "\x1b]", "\x1b", "?", ";", "4", "99999", "m", "h", "J", "r", "@", "\x9b"]
    ),
    st.sampled_from(HOSTILE),
    st.text(st.characters(), max_size=8),
)


def lines(emulator: Emulator) -> list[str]:
    return [row.plain.rstrip() for row in emulator.shown()]


def test_text_and_colours() -> None:
    emulator = Emulator(20, 3)
    emulator.feed("a\x1b[1;31mb\x1b[0m\x1b[38;5;208mc\x1b[0m\r\n日本e\u0301")
    rows = emulator.shown()
    assert [row.plain.rstrip() for row in rows] == ["abc", "日本é", ""]
    assert [span.style for span in rows[0].spans] == [
        "bold ansi_red on ansi_default",
        "#ff8700 on ansi_default",
    ]


@pytest.mark.parametrize(
    "crash",
    ["\x1b[?4m", "\x1b[?5A", "\x1b[" + "9" * 5000 + "m", "\x1b[²m", "\x1b[38;5;999m"],
)
def test_what_crashes_the_emulator_is_left_out_and_the_rest_is_drawn(crash: str) -> None:
    emulator = Emulator(20, 2)
    emulator.feed(f"before {crash}after")
    assert lines(emulator)[0] == "before after"


def test_a_crash_cut_over_two_events_is_left_out_as_well() -> None:
    emulator = Emulator(20, 2)
    for piece in ("x\x1b", "[", "?4", "m", "y"):
        emulator.feed(piece)
    assert lines(emulator)[0] == "xy"


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=40), st.sampled_from(["10x5", "1x1", "0x0", "x", "999999x999999"]))
def test_anything_may_be_fed_and_what_is_shown_is_inert(pieces: list[str], size: str) -> None:
    emulator = Emulator(12, 4)
    for piece in pieces[:20]:
        emulator.feed(piece)
    emulator.resize(size)
    for piece in pieces[20:]:
        emulator.feed(piece)
    rows = emulator.shown()
    assert len(rows) == emulator.lines <= ROWS_LIMIT
    assert emulator.columns <= COLUMNS_LIMIT
    assert all(inert(row.plain) for row in rows)


@settings(max_examples=60)
@given(st.lists(PIECES, max_size=20), st.lists(PIECES, max_size=20))
def test_a_fork_goes_its_own_way(first: list[str], second: list[str]) -> None:
    emulator = Emulator(12, 4)
    emulator.feed("".join(first))
    twin = emulator.fork()
    if twin is None:
        return
    was = lines(twin)
    assert was == lines(emulator)
    emulator.feed("".join(second))
    assert lines(twin) == was
    twin.feed("".join(second))
    assert lines(twin) == lines(emulator)


def test_a_half_read_sequence_is_not_forked() -> None:
    emulator = Emulator()
    emulator.feed("\x1b[3")
    assert emulator.fork() is None


@pytest.mark.timeout(10)
def test_a_long_run_of_marks_or_of_saved_cursors_costs_nothing() -> None:
    emulator = Emulator(20, 2)
    emulator.feed("a" + "\u0301\u0316" * 50_000)
    emulator.feed("\x1b7" * 50_000)
    assert len(lines(emulator)[0]) <= 8
