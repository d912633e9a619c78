"""Brace expansion is bash's own, or refused."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from broker.policy.shell import Refused, build
from broker.policy.shell.tree import Simple
from broker.shell.parser import ShellParser

PARSE = ShellParser()


def words(text: str) -> list[str]:
    node = build(PARSE(f"echo {text}"))
    assert isinstance(node, Simple)
    return [word.text for word in node.words[1:]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a,b}", ["a", "b"]),
        ("x{a,b{1,2},}y", ["xay", "xb1y", "xb2y", "xy"]),
        ("{1..3}{a,b}", ["1a", "1b", "2a", "2b", "3a", "3b"]),
        ("{01..10..4}", ["01", "05", "09"]),
        ("{3..-1..2}", ["3", "1", "-1"]),
        ("{a..e..2}", ["a", "c", "e"]),
        ("'{a,b}'", ["{a,b}"]),
        ("\\{a,b}", None),
        ("{}", ["{}"]),
        ("{,} {,a}''", ["", "a"]),
        ("{a..1}", None),
        ("{A..z}", None),
    ],
)
def test_expansion(text: str, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(Refused):
            words(text + "{")
    else:
        assert words(text) == expected


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is the judge")
@settings(max_examples=60, deadline=None)
@given(st.text("ab01{},.-\\", max_size=14))
def test_bash_makes_the_same_words(text: str) -> None:
    assume(not text.endswith("\\"))
    try:
        mine = words(text)
    except Refused:
        assume(False)
    script = f"for w in {text}; do printf '%s\\0' \"$w\"; done"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, timeout=10, check=True)
    assert [each.decode() for each in ran.stdout.split(b"\0")[:-1]] == mine
