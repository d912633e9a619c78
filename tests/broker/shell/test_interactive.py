"""The shell prompt with its real line editor: pastes, keys, jobs, completion, history."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from broker.console.client import Terminal
from broker.shell.interactive import run_interactive
from broker.shell.local_target import LocalRunner
from broker.targets import CommandTarget
from tests.broker.console.fake_client import FakeClient
from tests.broker.shell.fakes import PARSER, Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def desk() -> Desk:
    return Desk()


@asynccontextmanager
async def at_the_prompt(
    desk: Desk, folder: Path, **more: object
) -> AsyncIterator[tuple[FakeClient, asyncio.Task[int]]]:
    """A person at a first prompt; at the end the session must have ended."""
    client = FakeClient(terminal=Terminal("vt100", 200, 24))
    target = CommandTarget("web1", ("sh",), cwd=folder)
    runner = LocalRunner(target, lambda _: "")
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(
            run_interactive(client, desk.gate, target, runner, PARSER, **more)  # type: ignore[arg-type]
        )
        await client.expect("web1:", "$ ")
        yield client, task


async def test_a_pasted_block_is_shown_judged_and_run_line_by_line(
    desk: Desk, tmp_path: Path
) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type("\x1b[200~echo o''ne\nif true\nthen echo t''wo\nfi\n\ncd /\x1b[201~")
        await client.expect("cd /")
        assert desk.judged == []
        client.type("\r")
        await client.expect("one\r\n", "$ if true\r\n", "two\r\n", "$ cd /\r\n", "web1:/$ ")
        client.type("\x04")
    judged = [each.text for each in desk.judged]
    assert (judged[0], judged[-1]) == ("echo one", "cd /")
    assert len(judged) == 3


async def test_a_refused_line_holds_up_those_behind_it(desk: Desk, tmp_path: Path) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type("\x1b[200~echo o''ne\nrm -rf x\necho th''ree\x1b[201~\r")
        await client.expect("one\r\n", "denied by no-rm", "was not run", "$ ", "echo th''ree")
        await client.taken()
        assert b"three\r\n" not in client.output
        client.type("\r")
        await client.expect("three\r\n", "$ ")
        client.type("\x04")


async def test_a_directory_that_is_not_there_holds_up_what_was_meant_for_it(
    desk: Desk, tmp_path: Path
) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type("\x1b[200~cd nowhere\necho he''re\x1b[201~\r")
        await client.expect("was not run", "$ ", "echo he''re")
        client.type("\x03\x04")
    assert b"here\r\n" not in client.output.replace(b"here it", b"")


async def test_vi_keys_and_back(desk: Desk, tmp_path: Path) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type("set -o vi\r")
        await client.expect("$ ")
        client.type("echo abc\x1b0wcwxyz\r")
        await client.expect("\r\n", "xyz\r\n", "$ ")
        client.type("set -o emacs\r")
        await client.expect("$ ")
        client.type("cho again\x01e\r")
        await client.expect("again\r\n", "$ ")
        client.type("\x04")
    assert "set -o vi" in desk.recorder.inputs
    assert not any("set" in each.text for each in desk.judged)


@pytest.mark.parametrize("line", ["fg", "bg %1", "jobs -l", "disown", "suspend"])
async def test_job_control_is_refused_with_what_to_do_instead(
    desk: Desk, tmp_path: Path, line: str
) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type(f"{line}\r")
        await client.expect("no job control", "a second session", "$ ")
        client.type("\x04")


async def test_a_background_job_is_refused_with_what_to_do_instead(
    desk: Desk, tmp_path: Path
) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type("sleep 9 &\r")
        await client.expect("leave out the &", "$ ")
        client.type("\x04")


@pytest.mark.parametrize(
    ("first", "rest", "shows"),
    [
        ("echo 'a", "b'", "b\r\n"),
        ("cat <<E", "tw''o\rE", "tw''o\r\n"),
        ("if true; then", "echo a; fi", "a\r\n"),
        ("echo a &&", "echo b", "b\r\n"),
        ("echo a \\", "c", "a c\r\n"),
    ],
)
async def test_unfinished_constructs_go_on_in_the_next_line(
    desk: Desk, tmp_path: Path, first: str, rest: str, shows: str
) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, _):
        client.type(f"{first}\r")
        await client.expect("> ")
        assert desk.judged == []
        client.type(f"{rest}\r")
        await client.expect(shows, "$ ")
        client.type("\x04")


async def test_history_is_what_this_person_typed_here_before(desk: Desk, tmp_path: Path) -> None:
    history = ["echo be''fore"]
    async with at_the_prompt(desk, tmp_path, history=history) as (client, _):
        client.type("\x12fore\r\r")
        await client.expect("before\r\n", "$ ")
        client.type("history\r")
        await client.expect("1  echo be''fore", "2  history", "$ ")
        client.type("\x04")


async def test_commands_and_paths_are_completed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "notes and more.txt").write_text("read it\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.log").write_text("deeper\n")
    commands = ["systemctl status *", "cat **"]
    async with at_the_prompt(desk, tmp_path, commands=commands) as (client, _):
        client.type("cat no\t")
        await client.expect("tes\\ and\\ more.txt")
        client.type("\r")
        await client.expect("read it\r\n", "$ ")
        client.type("cat su\t")
        await client.expect("b/")
        client.type("\t")
        await client.expect("deep.log")
        client.type("\x15sys\t")
        await client.expect("temctl")
        client.type("st\t")
        await client.expect("atus")
        client.type("\x03\x04")
    texts = [each.text for each in desk.judged]
    assert f"ls -ap {tmp_path}/sub" in texts
    assert "audit: statement.judged" in desk.journal.happened


async def test_leaving_by_exit(desk: Desk, tmp_path: Path) -> None:
    async with at_the_prompt(desk, tmp_path) as (client, task):
        client.type("exit 3\r")
    assert task.result() == 3
