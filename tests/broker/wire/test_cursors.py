"""Cursors by the text that fetches from them, or declares them."""

from __future__ import annotations

import pytest

from broker.wire import cursors


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
        ("FETCH NEXT FROM c; FETCH NEXT FROM d", cursors.UNCLEAR),
        ("FETCH /* */ c", cursors.UNCLEAR),
        ('FETCH U&"c"', cursors.UNCLEAR),
        ("SELECT 1; FETCH c", cursors.UNCLEAR),
        ("SELECT 1", None),
    ],
)
def test_the_cursor_that_is_fetched_from(text: str, cursor: str | None) -> None:
    assert cursors.fetched(text) == cursor


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
    assert cursors.declared(text) == cursor
