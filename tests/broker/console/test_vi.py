"""Letters in navigation mode: none that makes much of little."""

from __future__ import annotations

import pytest

from broker.console.vi import is_command


@pytest.mark.parametrize("letter", ["q", "@", ">", "<", "\x16", "日", "Z", "!"])
def test_letters_that_nobody_needs_are_no_commands(letter: str) -> None:
    assert not is_command(letter, begun=False, count="")


def test_a_letter_of_a_command_that_has_begun_is_any() -> None:
    assert is_command("q", begun=True, count="")
    assert not is_command("\x1b", begun=True, count="")


def test_a_count_has_two_digits() -> None:
    assert is_command("1", begun=False, count="")
    assert is_command("0", begun=False, count="1")
    assert not is_command("0", begun=False, count="10")
    assert is_command("0", begun=False, count="")  # the beginning of the line
