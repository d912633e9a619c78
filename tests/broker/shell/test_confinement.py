"""What a local program cannot do: outlive its line, see others, gain anything, take everything."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from broker.shell import confinement
from broker.shell.local_target import LocalRunner
from broker.shell.runner import Controls
from broker.targets import CommandTarget
from tests.broker.shell.test_runners import Taken, held, run

if TYPE_CHECKING:
    from pathlib import Path

TARGET = CommandTarget("t", ("sh",))
NAMESPACES = any("unshare" in word for word in confinement.confined([], None))
needs_namespaces = pytest.mark.skipif(not NAMESPACES, reason="this machine gives no namespaces")


async def output(command: str) -> str:
    out = Taken()
    await run(LocalRunner(TARGET, lambda _: ""), command, stdout=out)
    return out.data.decode()


@needs_namespaces
async def test_a_program_that_detaches_itself_ends_with_its_line_too(tmp_path: Path) -> None:
    with held(tmp_path) as (pipe, let_go):
        await output(f"exec 9>{pipe}; setsid -f sleep 60 >/dev/null 2>&1; echo")
        await let_go()


@needs_namespaces
async def test_it_sees_no_process_but_its_own() -> None:
    seen = await output("cat /proc/[0-9]*/comm")
    assert "python" not in seen
    assert len(seen.splitlines()) <= 5


async def test_it_has_limits() -> None:
    assert (await output("ulimit -c; ulimit -n")).splitlines() == ["0", "1024"]


async def test_a_signal_that_ends_it_is_its_status_and_not_a_message() -> None:
    errors = Taken()
    status = await run(LocalRunner(TARGET, lambda _: ""), "kill -KILL $$", stderr=errors)
    assert (status, errors.data) == (137, b"")


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
async def test_signals_reach_the_program_itself(name: str) -> None:
    out, controls = Taken(), Controls()
    async with asyncio.TaskGroup() as group:
        command = f"trap 'echo got; exit 5' {name}; echo ready; while :; do sleep 0.05; done"
        runner = LocalRunner(TARGET, lambda _: "")
        running = group.create_task(run(runner, command, stdout=out, controls=controls))
        await out.until(b"ready")
        controls.signal(name)
    assert (running.result(), out.data) == (5, b"ready\ngot\n")


async def test_nothing_of_the_chain_stays_open_in_the_program() -> None:
    assert await output("ls /proc/self/fd") == "0\n1\n2\n3\n"


def test_without_the_tools_the_words_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "PATH", "/nonexistent")
    confinement._namespaces.cache_clear()
    try:
        assert confinement.confined(["ls"], None) == ["ls"]
    finally:
        confinement._namespaces.cache_clear()


def test_only_root_changes_the_account() -> None:
    words = confinement.confined(["ls"], None)
    assert not any(word.startswith("--reuid") for word in words)
    assert os.path.basename(words[-1]) == "ls"  # noqa: PTH119 - a word
