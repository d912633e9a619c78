"""The grammar's bounds, and what it says of text that it does not accept."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import Unparsable
from broker.policy.sql import facts, fingerprint, grammar


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("SELECT 'ééé' FORM x y", 'syntax error at or near "x"', 18),
        ("SELECT 1\0; DELETE FROM users", "the statement holds a NUL character", 8),
        ("SELECT '\udc80'", "the statement is not valid UTF-8", 8),
        ("SELECT 1 " + "/**/" * 201, "the statement holds more than 200 comments", None),
        ("SELECT '" + "x" * grammar.MAX_BYTES + "'", "the statement is longer than 256 KiB", None),
        ("SELECT 1" + "||'a'" * 5000, "the statement is nested too deeply", None),
        ("SELECT E'\\xff'", 'invalid byte sequence for encoding "UTF8": 0xff', None),
    ],
)
def test_what_is_not_accepted_says_why_and_where(
    text: str, reason: str, position: int | None
) -> None:
    with pytest.raises(Unparsable) as raised:
        facts(text)
    assert str(raised.value) == reason
    assert raised.value.position == position


@pytest.mark.parametrize("text", ["SELECT " + "(" * 3000 + "1", "SELECT " + "NOT " * 20000 + "x"])
def test_depth_is_refused_and_nothing_crashes(text: str) -> None:
    with pytest.raises(Unparsable):
        facts(text)


def test_an_open_quote_does_not_put_the_whole_text_into_the_message() -> None:
    with pytest.raises(Unparsable) as raised:
        facts("SELECT 'secret" + "x" * 5000)
    assert len(str(raised.value)) < 130


def test_too_many_different_things_are_refused() -> None:
    with pytest.raises(Unparsable, match="1000 different"):
        facts(";".join(f"TABLE t{n}" for n in range(1001)))


def test_statements_that_differ_in_constants_share_a_fingerprint() -> None:
    one, other = (fingerprint(f"SELECT a FROM t WHERE b = {value}") for value in ("1", "'x'"))
    assert one == other != fingerprint("SELECT a FROM u")
    assert fingerprint("-- nothing") == ""


@pytest.mark.parametrize("text", ["", " ", ";;", "-- nothing\n", "/* nothing */ ;"])
def test_an_empty_statement_does_nothing(text: str) -> None:
    assert facts(text).parts == ()


WORDS = """SELECT FROM WHERE DELETE UPDATE SET t u.v * ( ) , ; ' " $$ $a$ -- /* */ 1 'x' = WITH
    AS x EXPLAIN ANALYZE E'\\' U&"\\0041" :: OPERATOR . [ ] CASE"""
SQL_PIECES = st.lists(st.sampled_from([*WORDS.split(), "\n"]), max_size=25).map(" ".join)


@settings(max_examples=200)
@given(st.one_of(st.text(max_size=60), SQL_PIECES))
def test_any_text_is_taken_apart_or_unparsable(text: str) -> None:
    with suppress(Unparsable):
        facts(text)


STATEMENTS = [
    "SELECT a FROM t WHERE f(a)",
    "WITH t AS (SELECT 1) SELECT * FROM t",
    "DELETE FROM u",
    "BEGIN READ WRITE",
    "COPY t TO PROGRAM 'x'",
    "SELECT g.x FROM unnest(a) g",
    "EXPLAIN UPDATE t SET a = 1",
]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=5))
def test_a_batch_does_what_its_statements_do(batch: list[str]) -> None:
    together = set(facts(";\n".join(batch)).parts)
    assert together == {part for each in batch for part in facts(each).parts}
