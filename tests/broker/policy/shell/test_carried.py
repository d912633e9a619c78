"""What find runs for each file, and ssh on another machine, is judged beside them."""

from __future__ import annotations

import pytest

from broker.policy.shell import facts
from broker.shell.parser import ShellParser

PARSE = ShellParser()


def commands(text: str) -> list[str]:
    return [
        f"{'!' if part.explicit else ''}{part}"
        for part in facts(PARSE(text), text, "/home/u", parse=PARSE).parts
        if not part.implied
    ]


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("find /x -exec rm -f {} \\;", ["!find /x -exec rm -f {} ;", "!rm -f ⟨$found⟩"]),
        (
            "find . -name a -exec ls {} + -ok cat {} ';' -print",
            [
                "!find /home/u -name a -exec ls {} + -ok cat {} ; -print",
                "!ls ⟨$found⟩",
                "!cat ⟨$found⟩",
            ],
        ),
        ("find . -exec sh -c 'rm x' \\;", ["!find /home/u -exec sh -c rm x ;", "rm x"]),
        ("find . -exec ls", ["!find /home/u -exec ls", "ls"]),
        ("find . -exec ls + {} \\;", ["!find /home/u -exec ls + {} ;", "!ls + ⟨$found⟩"]),
        ("ssh db1 'rm -rf /x; id'", ["!ssh db1 /home/u/rm -rf /x; id", "rm -rf /x", "id"]),
        ("ssh -p 22 -o A=b -v bob@db1 -- rm x", ["!ssh -p 22 -o A=b -v bob@db1 -- rm x", "rm x"]),
        ("ssh -tp22 db1 rm x", ["!ssh -tp22 db1 rm x", "rm x"]),
        ("ssh db1", ["!ssh db1"]),
        ("ssh -N -L 1:b:2 db1", ["!ssh -N -L 1:b:2 db1"]),
    ],
)
def test_what_is_carried_is_judged(text: str, judged: list[str]) -> None:
    assert sorted(commands(text)) == sorted(judged)


@pytest.mark.parametrize(
    "text",
    [
        "find . -exec {} \\;",
        "find . -exec \\;",
        'find . -exec "$x" \\;',
        "find . -exec sh -c 'rm {}' \\; -exec sh -c \"$x\" \\;",
        "find . -exec bash {} \\;",
        'ssh "$host" rm x',
        'ssh db1 rm "$x"',
        "ssh db1 'rm $x'",
        "ssh db1 'rm (x'",
    ],
)
def test_what_is_carried_and_not_known_is_refused(text: str) -> None:
    assert commands(text)[0].startswith("!exec construct: ")
