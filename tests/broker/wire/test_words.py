"""What a text may do by its words, and what makes it unreadable."""

from __future__ import annotations

import pytest

from broker.wire import words


@pytest.mark.parametrize(
    ("text", "deferred", "why"),
    [
        (b"SELECT 1", True, None),
        (b"SELECT '\xff'", False, "UTF-8"),
        (b"SELECT 1\0; DROP TABLE t", False, "NUL"),
        (b"SELECT 1 -- secret", False, "marker"),
        (b"Execute a", True, "EXECUTE"),
        (b"EXECUTE a", False, None),
    ],
)
def test_what_is_unreadable(text: bytes, deferred: bool, why: str | None) -> None:
    found = words.unreadable(text, b"secret", lambda: deferred)
    assert (found is None) == (why is None)
    if found is not None:
        shown, told = found
        assert why is not None
        assert why in told
        assert b"secret" not in shown


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("FETCH c", "c"),
        ("fetch 10 from C;", "c"),
        ('FETCH FORWARD 100 FROM "Odd c"', "Odd c"),
        ("FETCH ALL IN c", "c"),
        ("FETCH ABSOLUTE -5 FROM c", "c"),
        ("FETCH BACKWARD ALL FROM c", "c"),
        ("FETCH next", "next"),
        ("FETCH NEXT FROM c; FETCH NEXT FROM d", words.UNCLEAR),
        ("FETCH /* */ c", words.UNCLEAR),
        ('FETCH U&"c"', words.UNCLEAR),
        ("SELECT 1; FETCH c", words.UNCLEAR),
        ("SELECT 1", None),
    ],
)
def test_the_cursor_that_is_fetched_from(text: str, cursor: str | None) -> None:
    assert words.fetched(text) == cursor


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("DECLARE c CURSOR FOR SELECT 1", "c"),
        ('declare "C" no scroll cursor with hold for select 1;', "C"),
        ("DECLARE c CURSOR FOR SELECT 1; FETCH d", None),
        ("SELECT 'declare c cursor'", None),
    ],
)
def test_the_cursor_that_is_declared(text: str, cursor: str | None) -> None:
    assert words.declared(text) == cursor
