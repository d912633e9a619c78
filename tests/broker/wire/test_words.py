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
