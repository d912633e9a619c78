"""Options that mean the same."""

from __future__ import annotations

import pytest

from broker.policy.options import SAME, asked, atoms


@pytest.mark.parametrize(
    ("program", "word", "expected"),
    [
        ("rm", "-rf", {"-rf", "-r", "-f"}),
        ("rm", "--recursive", {"--recursive", "-r"}),
        ("chmod", "--re", {"--re", "-R", "--reference"}),
        ("ls", "--color=auto", {"--color"}),
        ("find", "-delete", {"-delete"}),
    ],
)
def test_what_an_option_word_asks_for(program: str, word: str, expected: set[str]) -> None:
    assert atoms(program, word) == expected


@pytest.mark.parametrize("program", sorted(SAME))
def test_a_pattern_never_asks_for_more_than_its_own_words_give(program: str) -> None:
    for word in SAME[program]:
        assert asked(program, word) <= atoms(program, word) | {word}
