"""What a completion puts in, and how its candidates look in any window."""

from __future__ import annotations

import pytest
from prompt_toolkit.utils import get_cwidth

from broker.console.completing import Found, listed


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("cus", ("customers",), "customers "),
        ("lo", ("log/",), "log/"),
        ("c", ("customers", "customers_old"), "customers"),
        ("c", ("ca", "cb"), None),
        ("c", (), None),
    ],
)
def test_what_is_certain_is_put_in(
    word: str, candidates: tuple[str, ...], expected: str | None
) -> None:
    assert Found(word, candidates).replacement == expected


@pytest.mark.parametrize(("columns", "rows"), [(20, 3), (80, 22), (300, 98)])
def test_a_list_fits_its_window(columns: int, rows: int) -> None:
    words = [f"table_{n}" for n in range(500)] + ["表" * 200]
    lines = listed(words, columns, rows).split("\n")
    assert len(lines) <= rows
    assert all(get_cwidth(line) <= columns for line in lines)
    assert lines[-1].endswith("more")
    assert lines[0].startswith("table_0")


def test_what_cannot_be_shown_is_not() -> None:
    assert listed(["a", "b\x1b[31m"], 80, 10) == "a"
    assert listed(["\x07"], 80, 10) == ""
