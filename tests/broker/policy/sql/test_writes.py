"""What can be counted, estimated, tried out; and why the rest cannot."""

from __future__ import annotations

import pytest

from broker.policy.sql import writes
from broker.policy.sql.writes import Plain


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("UPDATE t SET a = 1", None),
        ("INSERT INTO t SELECT * FROM s ON CONFLICT DO NOTHING;", None),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", None),
        ("COPY t FROM STDIN", None),
        ("WITH a AS (SELECT 1) DELETE FROM t", None),
        ("COPY t TO STDOUT", "no plain"),
        ("TRUNCATE t", "no plain"),
        ("EXPLAIN ANALYZE DELETE FROM t", "no plain"),
        ("PREPARE p AS DELETE FROM t", "no plain"),
        ("WITH a AS (DELETE FROM t RETURNING 1) INSERT INTO s SELECT * FROM a", "part of it"),
        ("WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a", "no plain"),
        ("DELETE FROM t; DELETE FROM t", "one statement"),
        ("BEGIN; DELETE FROM t; COMMIT", "one statement"),
        ("nonsense", "one statement"),
        ("", "one statement"),
    ],
)
def test_what_its_command_complete_counts(text: str, why: str | None) -> None:
    found = writes.uncountable(text)
    assert (found is None) == (why is None)
    assert why is None or why in str(found)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("SELECT 1", True),
        ("-- first\nDELETE FROM t", True),
        ("VALUES (1)", True),
        ("SELECT 1; SELECT 2", False),
        ("EXPLAIN SELECT 1", False),
        ("ANALYZE t", False),
        ("CALL p()", False),
    ],
)
def test_what_has_a_plan(text: str, fits: bool) -> None:
    assert (writes.unexplainable(text) is None) is fits


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DELETE FROM t WHERE a = 1", Plain("delete", "t", None, defaults=False)),
        ('UPDATE s."T" SET a = 1', Plain("update", "T", "s", defaults=False)),
        ("UPDATE t SET a = DEFAULT", Plain("update", "t", None, defaults=True)),
        ("INSERT INTO t VALUES (1)", Plain("insert", "t", None, defaults=True)),
        ("INSERT INTO t SELECT * FROM s", "it names more than one table"),
        ("DELETE FROM t USING s", "it names more than one table"),
        ("UPDATE t SET a = (SELECT max(b) FROM s)", "it names more than one table"),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", "it is no INSERT, UPDATE or"),
        ("SELECT 1", "it is no INSERT, UPDATE or DELETE"),
        ("DELETE FROM t; SELECT 1", "it is several statements in one"),
    ],
)
def test_what_is_plain(text: str, found: Plain | str) -> None:
    told = writes.plain(text)
    assert told == found or (isinstance(found, str) and str(told).startswith(found))
