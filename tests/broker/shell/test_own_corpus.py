"""Attacks and honest lines of our own, run for real: by bash as they are, and through the gate."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from broker.gate import Gate
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.shell.local_target import LocalRunner
from broker.shell.session import run_command
from broker.targets import CommandTarget
from tests.broker.shell.fakes import PARSER, Desk, FakeClient
from tests.fakes import ALICE, FakeMask

if TYPE_CHECKING:
    from broker.model import Statement, Verdict

CORPUS = yaml.safe_load((Path(__file__).parents[2] / "corpus" / "shell_lines.yaml").read_text())
# All that the attacks carry themselves in is allowed by name; only removing is not.
CARRIERS = (
    *("find * -type f -exec **", "find * -name * -exec **", "xargs **", "env **", "sh -c **"),
    *("bash -c **", "nice **", "timeout **", "nohup **", "basename **", "cat **", "ls **"),
    *("printenv **", "[ **", "head **", "grep **", "wc **"),
)
RULES = (
    Rule("all", ("*",), ("*",), allow=Block()),
    Rule("carriers", ("*",), ("*",), allow=Block(commands=CARRIERS)),
    Rule("no-rm", ("*",), ("*",), deny=Block(commands=("rm **",))),
)


def cases(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CORPUS[kind]]


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "probe"
    file.write_text("probe\n")
    return file


def text(case: dict[str, Any], probe: Path) -> str:
    line = str(case["line"])
    return line.replace("PROBE", str(probe)).replace("FOLDER", str(probe.parent))


async def brokered(line: str, folder: Path) -> tuple[int, FakeClient]:
    desk = Desk()
    client = FakeClient().type(b"")

    def judged(statement: Statement) -> Verdict:
        return judge(RULES, ALICE, "box", statement, PARSER)

    gate = Gate(
        desk.gate.session,
        judge=judged,
        reviews=desk.reviews,
        audit=desk.audit,
        recorder=desk.recorder,
        new_mask=lambda: FakeMask(desk.journal),
        redact=lambda text: text,
    )
    target = CommandTarget("box", (shutil.which("bash") or "sh",), cwd=folder)
    async with asyncio.timeout(20):
        status = await run_command(
            client, gate, target, LocalRunner(target, lambda _: ""), PARSER, line
        )
    return status, client


def there(probe: Path) -> bool:
    return probe.exists()


def in_bash(line: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line],
        check=False,
        capture_output=True,
        timeout=20,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
    )


@pytest.mark.skipif(not shutil.which("bash"), reason="bash shows that the attack is one")
@pytest.mark.parametrize("case", cases("attacks"))
async def test_an_attack_works_in_bash_and_not_here(case: dict[str, Any], probe: Path) -> None:
    line = text(case, probe)
    status, _ = await brokered(line, probe.parent)
    assert there(probe)
    assert status in (65, 77)
    await asyncio.to_thread(in_bash, line, probe.parent)
    assert not there(probe), "a case that never worked shows nothing"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is compared with")
@pytest.mark.parametrize("case", cases("honest"))
async def test_an_honest_line_does_what_bash_does(case: dict[str, Any], probe: Path) -> None:
    line = text(case, probe)
    status, client = await brokered(line, probe.parent)
    ran = await asyncio.to_thread(in_bash, line, probe.parent)
    assert (client.errors, ran.stderr) == (b"", b"")
    assert (status, client.out) == (ran.returncode, ran.stdout)
    assert client.out.decode() == case["output"]
