"""Which commands are a shell that would read our client's input as a script."""

from __future__ import annotations

import pytest

from broker.policy.shell import build
from broker.shell.parser import ShellParser
from broker.shell.scripts import arguments_of

PARSE = ShellParser()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("bash -s", ()),
        ("sh -s", ()),
        ("/bin/sh -s a 'b c'", ("a", "b c")),
        ("bash -s -- -x y", ("-x", "y")),
        ("bash", None),
        ("bash -", None),
        ("bash -x -s", None),
        ("bash -s -x", None),
        ("bash -s +x", None),
        ("/tmp/bash -s", None),
        ("zsh -s", None),
        ("bash -s >x", None),
        ("LANG=C bash -s", None),
        ("bash -s; ls", None),
        ("bash -s " + "a " * 10, None),
        ('bash -s "$x"', None),
    ],
)
def test_arguments(command: str, arguments: tuple[str, ...] | None) -> None:
    assert arguments_of(build(PARSE(command))) == arguments
