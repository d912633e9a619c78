"""What carries over is put before the judged text, and can never become part of it."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.shell.place import Place

VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=10)


def test_a_fresh_place_adds_nothing() -> None:
    assert Place("/home/u", "/home/u").wrap("ls") == "ls"


def test_all_that_carries_over_stands_before_the_line() -> None:
    place = Place("/", "/").moved("/a b").exporting((("A", "it's"),)).exporting((("B", "2"),))
    assert place.without(("B",)).wrap("ls") == "cd -- '/a b' || exit; export A='it'\\''s'; ls"


def test_a_variable_stands_before_a_line_that_asks_for_it() -> None:
    place = Place().exporting((("A", "1"),)).assigning((("A", "2"), ("B", "3")))
    assert place.known == {"A": "2", "B": "3"}
    assert place.wrap('ls "$B"') == 'export A=2; B=3; ls "$B"'
    assert place.wrap("ls") == "export A=2; ls"
    assert place.exporting((("B", "4"),)).wrap('"$B"') == 'export A=2 B=4; "$B"'
    assert place.without(("A", "B")).known == {}


@pytest.mark.parametrize("shell", ["bash", "dash"])
@settings(max_examples=30, deadline=None)
@given(value=VALUES)
def test_a_value_is_nothing_but_a_value(shell: str, value: str) -> None:
    text = Place().exporting((("VALUE", value),)).wrap("printenv VALUE")
    done = subprocess.run([shell, "-c", text], capture_output=True, timeout=10, check=False)
    assert done.stdout == f"{value}\n".encode()
    assert done.stderr == b""


def test_a_directory_that_is_gone_stops_the_line() -> None:
    text = Place("/", "/nonexistent").wrap("echo ran")
    done = subprocess.run(["sh", "-c", text], capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stdout == b""
