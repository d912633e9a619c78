"""A raw terminal: asked for, told what it is, recorded without what was typed, and ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.console.client import Terminal
from broker.errors import UsageError
from broker.gate import Gate
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.shell.local_target import LocalRunner
from broker.shell.session import run_command, run_interactive
from broker.targets import CommandTarget
from tests.broker.shell.fakes import PARSER, Desk, FakeClient
from tests.fakes import ALICE, FakeMask

if TYPE_CHECKING:
    from broker.model import Statement, Verdict

TERMINAL = Terminal("vt100", 80, 24)
TARGET = CommandTarget("box", ("sh",), cwd=Path("/"))
RAW = Rule("raw", ("*",), ("*",), allow=Block(terminal=True))
LINES = Rule("lines", ("*",), ("*",), allow=Block(commands=("true",)))


def gate(desk: Desk, *rules: Rule) -> Gate:
    def judged(statement: Statement) -> Verdict:
        desk.judged.append(statement)
        return judge(rules, ALICE, "box", statement, PARSER)

    return Gate(
        desk.gate.session,
        judge=judged,
        reviews=desk.reviews,
        audit=desk.audit,
        recorder=desk.recorder,
        new_mask=lambda: FakeMask(desk.journal),
        redact=lambda text: text,
    )


async def asked(
    client: FakeClient, desk: Desk, *rules: Rule, target: CommandTarget = TARGET
) -> int:
    runner = LocalRunner(target, lambda _: "")
    async with asyncio.timeout(20):
        return await run_command(client, gate(desk, *rules), target, runner, PARSER, " terminal ")


async def test_it_is_a_terminal_whose_lines_are_not_judged() -> None:
    desk, client = Desk(), FakeClient(TERMINAL)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(asked(client, desk, RAW))
        await client.until(b"your lines are not judged")
        client.type(b"tty && stty -echo; echo rea''dy\r")
        await client.until(b"ready")
        client.type(b"hunter2\r", b"echo o''ver; exit 5\r")
    assert running.result() == 5
    assert b"/dev/pts/" in client.out
    assert [each.text for each in desk.judged] == ["terminal"]
    assert desk.recorder.inputs == []
    assert desk.recorder.unseen == [32, 8, 20]
    assert b"over" in desk.recorder.shown


async def test_it_is_at_the_prompt_too_and_the_prompt_comes_back() -> None:
    class Editor:
        vi = False

        def __init__(self) -> None:
            self.texts = ["terminal", None]

        async def line(self, prompt: str) -> str | None:
            return self.texts.pop(0)

        def type_ahead(self, data: bytes) -> None:
            """Nothing waits."""

    desk, client = Desk(), FakeClient(TERMINAL).type(b"exit 3\r")
    async with asyncio.timeout(20):
        status = await run_interactive(
            client,
            gate(desk, RAW, LINES),
            TARGET,
            LocalRunner(TARGET, lambda _: ""),
            PARSER,
            lambda _client, **_options: Editor(),
        )
    assert status == 3


async def test_where_rules_give_nothing_else_an_interactive_session_is_one() -> None:
    desk, client = Desk(), FakeClient(TERMINAL).type(b"exit 4\r")
    async with asyncio.timeout(20):
        status = await run_interactive(
            client,
            gate(desk, RAW),
            TARGET,
            LocalRunner(TARGET, lambda _: ""),
            PARSER,
            raw=True,
        )
    assert status == 4


async def test_without_a_rule_it_is_refused() -> None:
    client = FakeClient(TERMINAL)
    assert await asked(client, Desk(), LINES) == 77
    assert b"no rule allows a raw terminal on box" in client.errors


async def test_without_a_terminal_it_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="ssh -t"):
        await asked(FakeClient(), Desk(), RAW)


async def test_a_target_that_reads_lines_gives_none() -> None:
    target = CommandTarget("t", ("cat",), shell="patterns")  # noqa: S604 - not subprocess's
    with pytest.raises(UsageError, match="reads lines"):
        await asked(FakeClient(TERMINAL), Desk(), RAW, target=target)


async def test_a_program_without_a_shell_is_alone_in_it() -> None:
    client = FakeClient(TERMINAL)
    target = CommandTarget("t", ("head", "-n", "1"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(asked(client, Desk(), RAW, target=target))
        await client.until(b"not judged")
        client.type(b"$(id)\r")
    assert running.result() == 0
    assert client.out.count(b"$(id)") == 2
