"""Text from others: whatever it holds, what comes out does nothing to a terminal or a person."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.style import Style

from tui import text

HOSTILE = [
    "SELECT 1; [@click='app.approve']-- harmless[/]",
    "b = [/red]",
    "[b]bold[/b] [link=https://evil.example]x[/link]",
    "\x1b]0;PWNED\x07",
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x9d0;PWNED\x9c",
    "\x1b[2J\x1b[H\x1b[?1049l",
    "DELETE \u202eelpmaxe\u202c -- \u2066x\u2069",
    "a\rb\x08\x7f\x00",
    "one\ntwo\u2028three\u2029four\x85five\vsix\fseven",
    "\udc80\udcff",
    "zero\u200bwidth\u200d\ufeff\u00ad\u3164\u2800\ufe0f\U000e0041\U000e0100",
]

ANYTHING = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters()))
DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def inert(shown: str) -> bool:
    return not any(unicodedata.category(c) in DANGEROUS for c in shown)


@given(ANYTHING)
def test_one_line_stays_one_line_of_inert_characters(anything: str) -> None:
    shown = text.safe(anything)
    assert "\n" not in shown.plain
    assert inert(shown.plain)
    assert shown.spans == []  # no markup was read


@example("\U0001f3fb", 1)  # a skin tone alone was drawn as nothing
@given(ANYTHING, st.integers(1, 200))
def test_numbered_lines_hide_nothing(anything: str, width: int) -> None:
    rows = text.numbered(anything, width)
    assert all(inert(row.plain) for row in rows)
    assert all(row.cell_length <= max(width, 16) for row in rows)
    whole = "".join(row.plain[5:] for row in rows)
    assert whole == text.visible(anything).replace("\n", "")


@given(ANYTHING)
def test_ordinary_text_is_shown_as_it_is(anything: str) -> None:
    plain = "".join(c for c in anything if c == "\n" or (c.isascii() and c.isprintable()))
    assert text.visible(plain) == plain


def test_no_two_texts_look_the_same_by_what_is_invisible() -> None:
    assert text.safe("DROP\u3164TABLE").plain == "DROP⟨3164⟩TABLE"
    assert text.safe("a\u200bb").plain == "a⟨200B⟩b"
    assert text.safe("a\tb\x1b").plain == "a⟨09⟩b⟨1B⟩"


@given(ANYTHING, st.integers(1, 100))
def test_a_strip_is_exactly_as_wide_as_asked_and_inert(anything: str, width: int) -> None:
    strip = text.strip(text.safe(anything), width, Style())
    assert strip.cell_length == width
    assert inert(strip.text)


@given(ANYTHING)
def test_bold_words_change_nothing_but_the_style(anything: str) -> None:
    bold = text.numbered(anything, 60, ["delete", "[/red]", "(", ""])
    assert [row.plain for row in bold] == [row.plain for row in text.numbered(anything, 60)]


@given(st.lists(st.text(st.characters(), max_size=6), max_size=20))
def test_cells_are_inert_whatever_the_emulator_holds(datas: list[str]) -> None:
    assert inert(text.cells((data, "") for data in datas).plain)


@pytest.mark.parametrize(("width", "shown"), [(12, "alice   4:18"), (6, "… 4:18")])
def test_the_right_end_of_a_line_is_never_pushed_out(width: int, shown: str) -> None:
    assert text.between(text.safe("alice"), text.safe("4:18"), width).plain == shown


def test_a_rule_is_as_wide_as_asked() -> None:
    assert text.rule(text.safe(" formatted "), 30).cell_length == 30
    assert text.rule(text.safe("x" * 99), 30).cell_length == 30
