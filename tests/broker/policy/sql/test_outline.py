"""Outlines: the same statement by its fingerprint, without comments, its constants beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy.sql import grammar
from broker.policy.sql.outline import Outline, outline


@pytest.mark.parametrize(
    ("text", "shown", "values"),
    [
        (
            "DELETE FROM refunds WHERE id = 6 AND status = 'dup'",
            "DELETE FROM refunds WHERE id = $1 AND status = $2",
            (b"6", b"dup"),
        ),
        ("UPDATE t SET a = 1.5e3, b = 'it''s'", "UPDATE t SET a = $1, b = $2", (b"1.5e3", b"it's")),
        ("INSERT INTO t VALUES (1, 'é'), (2, '')", "INSERT INTO t VALUES ($1, $2), ($3, $4)",
         (b"1", "é".encode(), b"2", b"")),
        ("DELETE FROM t -- 7 'x'\nWHERE a = 7", "DELETE FROM t  \nWHERE a = $1", (b"7",)),
        ("DELETE FROM t /* a /* b */ 'c' */ WHERE a = 7", "DELETE FROM t   WHERE a = $1", (b"7",)),
        ("DELETE FROM \"t 1\" WHERE a1 = 7", "DELETE FROM \"t 1\" WHERE a1 = $1", (b"7",)),
        ("DELETE FROM t WHERE a = $q$it's 1$q$ OR a = true OR a IS NULL",
         "DELETE FROM t WHERE a = $q$it's 1$q$ OR a = true OR a IS NULL", ()),
        ("DELETE FROM t WHERE a = E'x'", "DELETE FROM t WHERE a = E'x'", ()),
        ("DELETE FROM t WHERE a = U&'b'", "DELETE FROM t WHERE a = U&'b'", ()),
        ("DELETE FROM t WHERE a < now() - interval '1 day'",
         "DELETE FROM t WHERE a < now() - interval '1 day'", ()),
        ("DELETE FROM t WHERE a < '1 day'::interval", "DELETE FROM t WHERE a < $1::interval",
         (b"1 day",)),
        ("SELECT a::numeric(5, 2) FROM t ORDER BY 1 LIMIT 3",
         "SELECT a::numeric(5, 2) FROM t ORDER BY 1 LIMIT $1", (b"3",)),
    ],
)  # fmt: skip
def test_constants_go_beside_it(text: str, shown: str, values: tuple[bytes, ...]) -> None:
    found = outline(text, 0)
    assert found == Outline(shown, values)
    assert grammar.fingerprint(shown) == grammar.fingerprint(text)


def test_its_own_parameters_come_first() -> None:
    found = outline("DELETE FROM t WHERE a = $1 AND b = 'x' AND c = $2", 2)
    assert found == Outline("DELETE FROM t WHERE a = $1 AND b = $3 AND c = $2", (b"x",))


@given(st.text(st.sampled_from("'\"$a1/*-\n;e\\ "), max_size=20))
def test_an_outline_that_is_not_the_same_statement_is_none(tail: str) -> None:
    text = f"DELETE FROM t WHERE a = 1 {tail}"
    found = outline(text, 0)
    assert found is None or grammar.fingerprint(found.text) == grammar.fingerprint(text)
