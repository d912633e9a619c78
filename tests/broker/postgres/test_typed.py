"""Is a typed text complete, as sqlparse sees it?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.postgres import typed


@pytest.mark.parametrize(
    "text",
    [
        "select 1;",
        "select 1; -- done",
        "select 1 /* x */ ;  \n",
        "-- only a comment",
        "\\d orders",
        "",
        "  ",
        "help",
        "quit",
        "select $a$ ; $a$;",
        "select E'\\'';",
        "select 1; select 2;",
        "x" * 20000,
    ],
)
def test_complete(text: str) -> None:
    assert typed.is_complete(text)


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "select 'a;",
        'select "a;',
        "select $$ a;",
        "/* a ;",
        "select 1; /* b",
        "(select 1;",
        "select 1; select 2",
        "help me",
    ],
)
def test_incomplete(text: str) -> None:
    assert not typed.is_complete(text)


@pytest.mark.parametrize(("text", "number"), [("select 1; select 2;", 2), ("a", 1), ("", 0)])
def test_count(text: str, number: int) -> None:
    assert typed.count(text) == number


def test_what_is_too_big_is_not_looked_at() -> None:
    assert typed.count("x" * 20000) is None


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_it_never_fails(text: str) -> None:
    typed.is_complete(text)
    typed.count(text)


def test_deep_nesting_is_contained() -> None:
    assert typed.is_complete("(" * 8000 + ";") in (True, False)
    typed.count("(" * 8000 + ";")
