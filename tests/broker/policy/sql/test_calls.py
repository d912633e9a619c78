"""Functions that may do more than compute."""

from __future__ import annotations

import pytest

from broker.policy.sql.calls import other_code


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("UPDATE t SET a = upper(a), b = now()", None),
        ("DELETE FROM t", None),
        ("SELECT nextval('s')", "it calls nextval"),
        ("DELETE FROM t WHERE a = mine.f()", "it calls mine.f"),
        ("nonsense", "it is not understood"),
    ],
)
def test_what_a_text_calls(text: str, why: str | None) -> None:
    found = other_code(text, "it")
    assert (found is None) == (why is None)
    assert why is None or str(found).startswith(why)
