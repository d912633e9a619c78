"""The home directory is written out where it is known, and nothing else changes."""

from __future__ import annotations

import pytest

from broker.policy.shell import at_home, build, emit
from broker.shell.parser import ShellParser

PARSE = ShellParser()


@pytest.mark.parametrize(
    ("line", "written_out"),
    [
        ("cat ~/.ssh/id", "cat /home/u/.ssh/id"),
        ("ls ~ ~/*", "ls /home/u /home/u/*"),
        ("cd", "cd /home/u"),
        ("cd && cat x | (cat ~/y)", "cd /home/u && cat x | ( cat /home/u/y )"),
        ("if cd; then ! ls ~; fi", "if cd /home/u; then ! ls /home/u; fi"),
        ("echo '~' \\~ a~", "echo '~' '~' 'a~'"),
        ("cd -", "cd -"),
    ],
)
def test_written_out(line: str, written_out: str) -> None:
    assert emit(at_home(build(PARSE(line)), "/home/u")) == written_out


def test_what_was_written_out_reads_back_as_itself() -> None:
    node = at_home(build(PARSE("cat ~/a' 'b ~/*; cd")), "/home/it's mine/")
    assert build(PARSE(emit(node))) == node


def test_a_home_at_the_root() -> None:
    assert emit(at_home(build(PARSE("ls ~ ~/x; cd")), "/")) == "ls / /x; cd /"
