"""Attacks on the shell path, with probes on the target: real shells, real files."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from broker.model import Answer, Verdict
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.shell.local_target import LocalRunner
from broker.shell.session import run_command
from broker.targets import CommandTarget
from tests.broker.shell.fakes import PARSER, Desk, FakeClient
from tests.fakes import ALICE

if TYPE_CHECKING:
    from pathlib import Path

    from broker.model import Statement

SECRET = b"the answer"
ANY = ("*",)


class Room(Desk):
    """A folder with a public and a denied file, and rules around them."""

    def __init__(self, folder: Path, shell: str) -> None:
        super().__init__()
        self.folder = folder
        self.rules: tuple[Rule, ...] = (
            Rule("logs", ANY, ANY, allow=Block(commands=(f"cat {folder}/log/**", "true", "cd **"))),
            Rule("work", ANY, ANY, allow=Block(commands=("grep **", "sort **", "rm **", "cp **"))),
            Rule("home", ANY, ANY, allow=Block(commands=("head **", "touch **"))),
            Rule("no-rm", ANY, ANY, deny=Block(commands=("rm -rf **",))),
            Rule("no-secret", ANY, ANY, deny=Block(paths=(f"{folder}/priv/secret",))),
        )
        for name in ("log", "priv", "work/keep"):
            (folder / name).mkdir(parents=True)
        (folder / "log" / "one").write_text("a line\n")
        (folder / "outside").write_bytes(SECRET)
        (folder / "priv" / "secret").write_bytes(SECRET)
        self.target = CommandTarget(
            "web1", (shell,), cwd=folder / "work", env={"HOME": str(folder)}
        )

    def _judge(self, statement: Statement) -> Verdict:
        return judge(self.rules, ALICE, "web1", statement, PARSER)

    async def run(self, line: str) -> tuple[int, bytes]:
        """A command's exit code and output."""
        client = FakeClient().type(b"")
        runner = LocalRunner(self.target, lambda _: "")
        async with asyncio.timeout(20):
            status = await run_command(
                client,
                self.gate,
                self.target,
                runner,
                PARSER,
                line.replace("ROOM", str(self.folder)),
            )
        return status, client.out


@pytest.fixture(params=["bash", "dash"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"{request.param} is not on this machine")
    return Room(tmp_path, shell)


async def test_the_room_gives_what_is_allowed(room: Room) -> None:
    assert await room.run("cat ROOM/log/*") == (0, b"a line\n")
    assert await room.run("head -n 1 ~/outside") == (0, SECRET)


@pytest.mark.parametrize(
    "line",
    [
        "cat ROOM/log/.*/outside",  # dash: .* is also ..
        "cat ROOM/log/..*/outside",
        "cat ROOM/log/.?/outside",
        "cat ROOM/log/*/../../outside",
        "cat ROOM/log/../outside",
        "cat ROOM/log/one ../outside",
    ],
)
async def test_nothing_leads_out_of_an_allowed_directory(room: Room, line: str) -> None:
    status, out = await room.run(line)
    assert status == 77
    assert SECRET not in out


@pytest.mark.parametrize(
    "line",
    [
        "head ROOM/priv/*",
        "head ROOM/pri?/[s]ecret",
        "cd ROOM/priv; head s*",
        "cd ROOM/priv; cd / && cd - && head secret",
        "cd -LP ROOM/priv && head secret",
        "head ~/priv/secret",
        "cd && head priv/secret",
        "grep -r '' ROOM",
        "cd ROOM && grep -r ''",
        "grep -fROOM/priv/secret ''",
        "grep --file=ROOM/priv/secret ''",
        "cp -r ROOM/priv ROOM/log",
        "head /proc/self/cwd/../priv/secret",
        "head /proc/self/root/ROOM/priv/secret",
    ],
)
async def test_a_denied_file_is_not_shown(room: Room, line: str) -> None:
    status, out = await room.run(line)
    assert status == 77
    assert SECRET not in out
    assert not (room.folder / "log" / "priv").exists()


async def test_a_file_with_the_name_of_an_option_is_not_one(room: Room) -> None:
    assert await room.run("touch -- -rf") == (0, b"")
    status, _ = await room.run("rm *")
    assert status == 77
    assert (room.folder / "work" / "keep").exists()
    assert room.gate.refusal is not None
    assert "./" in room.gate.refusal.reason
    assert room.gate.refusal.answer is Answer.DENY


async def test_a_file_with_the_name_of_an_option_writes_nothing(room: Room) -> None:
    assert await room.run("touch -- -oowned") == (0, b"")
    room.rules = (Rule("all", ANY, ANY, allow=Block()), *room.rules[3:])
    status, _ = await room.run("sort *")
    assert status == 77
    assert not (room.folder / "work" / "owned").exists()


@pytest.mark.parametrize("line", ["sort -uo owned /dev/null", "sort -o owned /dev/null"])
async def test_an_option_that_writes_must_be_named_wherever_it_stands(
    room: Room, line: str
) -> None:
    room.rules = (Rule("all", ANY, ANY, allow=Block()), *room.rules[3:])
    status, _ = await room.run(line)
    assert status == 77
    assert not (room.folder / "work" / "owned").exists()
