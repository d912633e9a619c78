"""Completion offers what the rules name, and paths only where `ls` is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.console.client import Terminal
from broker.console.completing import Found
from broker.shell.completing import Completer
from broker.shell.lines import Lines
from broker.shell.local_target import LocalRunner
from broker.targets import CommandTarget
from tests.broker.shell.fakes import PARSER, Desk, FakeClient

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("systemctl status *", "systemctl restart nginx", "ls **", "cat /var/log/**", "*/odd")


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def lines_in(desk: Desk, folder: Path) -> Lines:
    target = CommandTarget("web1", ("sh",), cwd=folder)
    client = FakeClient(Terminal("vt100", 80, 24))
    lines = Lines(client, desk.gate, target, LocalRunner(target, lambda _: ""), PARSER)
    await lines.arrive()
    return lines


async def found(lines: Lines, before: str) -> tuple[str, ...]:
    answer = Completer(lines, COMMANDS)(before)
    return (answer if isinstance(answer, Found) else await answer).candidates


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("sys", ("systemctl",)),
        ("true && sys", ("systemctl",)),
        ("his", ("history",)),
        ("rm", ()),
        ("systemctl ", ("restart", "status")),
        ("systemctl restart ", ("nginx",)),
        ("systemctl nothing ", ()),
        ("cat $HOME/", ()),
        ("cat 'x", ()),
        ("cat ~/", ()),
    ],
)
async def test_words_that_rules_name(
    desk: Desk, tmp_path: Path, before: str, expected: tuple[str, ...]
) -> None:
    assert await found(await lines_in(desk, tmp_path), before) == expected


async def test_paths_of_the_target(desk: Desk, tmp_path: Path) -> None:
    for name in ("plain", "with blank", ".hidden", "top secret", "odd\x1b[31m", "$x`y"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    lines = await lines_in(desk, tmp_path)
    offered = await found(lines, "cat ")
    assert offered == ("\\$x\\`y", "folder/", "plain", "with\\ blank")
    assert await found(lines, "cat .h") == (".hidden",)
    assert await found(lines, "cat with\\ ") == ("with\\ blank",)
    assert await found(lines, "cd ") == ("folder/",)
    assert await found(lines, f"cat {tmp_path}/pl") == (f"{tmp_path}/plain",)
    assert await found(lines, "cat nowhere/") == ()


async def test_a_listing_that_no_rule_allows_is_not_made(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("")
    lines = await lines_in(desk, tmp_path)
    assert await found(lines, "cat /etc/shadow/") == ()
    assert "audit: statement.judged" not in desk.journal.happened


async def test_a_listing_is_audited_and_not_repeated_at_once(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    completer = Completer(await lines_in(desk, tmp_path), ())
    for _ in range(3):
        answer = completer("cat pl")
        assert not isinstance(answer, Found)
        assert (await answer).candidates == ("plain",)
    assert desk.journal.happened.count("audit: statement.judged") == 1


@pytest.mark.parametrize("hostile", ["\\" * 9999, "a " * 5000, ";" * 9999, "/" * 9999])
async def test_hostile_text_takes_no_time(desk: Desk, tmp_path: Path, hostile: str) -> None:
    await found(await lines_in(desk, tmp_path), hostile)
