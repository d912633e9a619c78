"""What stands in for pg_dump's first statements, and that nobody gains by it."""

from __future__ import annotations

import pytest

from broker.policy.sql import read
from broker.wire.pg_dump import stand_in


@pytest.mark.parametrize(
    "text",
    [
        b"SET statement_timeout = 0",
        b"SET lock_timeout = 0",
        b"SET transaction_timeout = 0",
        b"SET idle_in_transaction_session_timeout = 0",
        b"SET synchronize_seqscans TO off",
        b"SET row_security = off",
        b"SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings"
        b" WHERE name = 'restrict_nonsystem_relation_kind'",
        b"SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database)",
    ],
)
def test_what_stands_in_needs_no_rule(text: bytes) -> None:
    stands, told = stand_in(text)
    assert stands != text
    assert len(told) == (b"row_security" in text)
    parts = read(stands.decode()).parts
    assert all(part.implied or str(part) == "select" for part in parts)


@pytest.mark.parametrize(
    "text",
    [
        b"SET statement_timeout = 0; DELETE FROM orders",
        b"SET row_security = on",
        b"SET role = postgres",
        b"SELECT set_config(name, 'x' || pg_read_file('y'), false) FROM pg_settings"
        b" WHERE name = 'restrict_nonsystem_relation_kind'",
        b"SELECT count(*) FROM pg_subscription WHERE subdbid = 1; DELETE FROM orders",
        b"TABLE pg_subscription",
    ],
)
def test_every_other_text_is_as_it_was(text: bytes) -> None:
    assert stand_in(text) == (text, [])
