from __future__ import annotations

from broker.wire import transcript
from broker.wire.frontend import Bind


def test_what_a_terminal_would_obey_is_shown() -> None:
    shown = transcript.row([b"a\x1b[2Jb", None, b"\xff\x00"]).decode()
    assert shown == "a⟨1B⟩[2Jb\tNULL\t\\xff00\r\n"


def test_lines_stay_lines() -> None:
    assert transcript.statement("db", "SELECT\n 1") == b"db=> SELECT\r\n 1\r\n"


def test_values_stand_beside_their_statement() -> None:
    bind = Bind(b"", b"s", (False, False), (b"7", None))
    assert transcript.bound("db", "SELECT $1, $2", bind) == (
        b"db=> SELECT $1, $2  -- $1 = 7, $2 = NULL\r\n"
    )


def test_a_long_cell_is_cut() -> None:
    assert len(transcript.row([b"x" * 5000])) < 1100
