"""Both runners keep one contract: a real sshd, and a real shell on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.console.client import Terminal
from broker.shell.credentials import Credentials
from broker.shell.local_target import LocalRunner
from broker.shell.runner import Controls
from broker.shell.ssh_target import SshRunner
from broker.targets import CommandTarget, SshTarget
from tests.fixtures.sshd import gives_terminals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from broker.shell.runner import Runner, Sink, Source
    from tests.fixtures.sshd import Sshd

pytestmark = pytest.mark.peer


class Bytes:
    """Input in chunks, then the end; or nothing more for ever."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._chunks = list(chunks)
        self._ends = ends

    async def read(self) -> bytes:
        if self._chunks:
            return self._chunks.pop(0)
        if not self._ends:
            await asyncio.Event().wait()
        return b""


class Taken:
    """Output, all of it."""

    def __init__(self) -> None:
        self.data = b""
        self.news = asyncio.Event()

    async def __call__(self, data: bytes, /) -> None:
        self.data += data
        self.news.set()

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(10):
            while text not in self.data:
                self.news.clear()
                await self.news.wait()


def ssh_runner(sshd: Sshd, **changes: object) -> SshRunner:
    options: dict[str, object] = {"host_keys": (sshd.host_key,), "key": sshd.key} | changes
    target = SshTarget("web1", "127.0.0.1", sshd.port, sshd.user, **options)  # type: ignore[arg-type]
    return by_key(target)


def by_key(target: SshTarget) -> SshRunner:
    """Opens a target by its configured key."""
    return SshRunner(target, Credentials(target, lambda _: "", lambda _key, _from: b""))


@pytest.fixture(params=["ssh", "local"])
async def runner(request: pytest.FixtureRequest) -> AsyncIterator[Runner]:
    made: Runner = (
        ssh_runner(request.getfixturevalue("sshd"))
        if request.param == "ssh"
        else LocalRunner(CommandTarget("here", ("sh",)), lambda _: "")
    )
    yield made
    await made.close()


@pytest.fixture
def terminals(runner: Runner) -> None:
    if isinstance(runner, SshRunner) and not gives_terminals():
        pytest.skip("an sshd without root cannot give terminals on this machine's devpts")


async def run(
    runner: Runner,
    command: str,
    *,
    stdin: Source | None = None,
    stdout: Sink | None = None,
    stderr: Sink | None = None,
    terminal: Terminal | None = None,
    controls: Controls | None = None,
) -> int:
    async with asyncio.timeout(20):
        return await runner.run(
            command,
            stdin=stdin,
            stdout=stdout or Taken(),
            stderr=stderr or Taken(),
            terminal=terminal,
            controls=controls or Controls(),
        )


async def test_output_errors_and_the_exit_code_stay_apart(runner: Runner) -> None:
    out, err = Taken(), Taken()
    assert await run(runner, "echo hi; echo no >&2; exit 3", stdout=out, stderr=err) == 3
    assert (out.data, err.data) == (b"hi\n", b"no\n")


async def test_input_reaches_the_command_and_ends(runner: Runner) -> None:
    out = Taken()
    assert await run(runner, "cat", stdin=Bytes(b"one ", b"two"), stdout=out) == 0
    assert out.data == b"one two"


async def test_without_input_a_command_meets_its_end(runner: Runner) -> None:
    assert await run(runner, "cat") == 0


async def test_a_command_that_reads_nothing_ends_though_input_does_not(runner: Runner) -> None:
    assert await run(runner, "true", stdin=Bytes(ends=False)) == 0


@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143)])
async def test_signals_end_the_command(runner: Runner, name: str, status: int) -> None:
    out, controls = Taken(), Controls()
    async with asyncio.TaskGroup() as group:
        command = "echo ready; exec sleep 60"
        running = group.create_task(run(runner, command, stdout=out, controls=controls))
        await out.until(b"ready")
        controls.signal(name)
    assert running.result() == status


async def test_cancelling_kills_the_whole_group(runner: Runner, tmp_path: Path) -> None:
    out = Taken()
    with held(tmp_path) as (pipe, let_go):
        command = f"exec 9>{pipe}; sleep 60 & echo ready; wait"
        async with asyncio.TaskGroup() as group:
            running = group.create_task(run(runner, command, stdout=out))
            await out.until(b"ready")
            running.cancel()
        await let_go()


@contextlib.contextmanager
def held(folder: Path) -> Iterator[tuple[Path, Callable[[], Awaitable[None]]]]:
    """A pipe for programs to hold open, and a wait until the last of them is gone.

    A process in a namespace of its own has no number that means anything here.
    """
    pipe = folder / "held"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    async def let_go() -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, lambda: None if ended.done() else ended.set_result(None))
        try:
            async with asyncio.timeout(10):
                await ended
        finally:
            loop.remove_reader(descriptor)
        assert os.read(descriptor, 1) == b""

    try:
        yield pipe, let_go
    finally:
        os.close(descriptor)


async def test_a_slow_reader_slows_the_command_and_not_the_memory(runner: Runner) -> None:
    size = 60_000_000
    before = resident()
    peak, seen = 0, 0

    async def slow(data: bytes, /) -> None:
        nonlocal peak, seen
        seen += len(data)
        for _ in range(5):  # others may run and read on, if nothing holds them back
            await asyncio.sleep(0)
        peak = max(peak, resident())

    assert await run(runner, f"head -c {size} /dev/zero", stdout=slow) == 0
    assert seen == size
    assert peak - before < 24_000_000


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


async def test_a_reader_that_stops_stops_the_command(runner: Runner) -> None:
    taken, blocked = 0, asyncio.Event()

    async def stops(data: bytes, /) -> None:
        nonlocal taken
        taken += len(data)
        blocked.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(runner, "cat /dev/zero", stdout=stops))
        await blocked.wait()
        running.cancel()
    assert taken <= 64 * 1024


@pytest.mark.usefixtures("terminals")
async def test_a_terminal_has_the_clients_type_and_size(runner: Runner) -> None:
    out, controls = Taken(), Controls()
    script = "echo $TERM; stty size; trap 'stty size; exit 5' WINCH; echo ready; "
    script += "while :; do sleep 0.05; done"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(
            run(
                runner,
                script,
                stdin=Bytes(ends=False),
                stdout=out,
                terminal=Terminal("vt100", 91, 33),
                controls=controls,
            )
        )
        await out.until(b"ready")
        controls.resize(Terminal("vt100", 70, 20))
    assert running.result() == 5
    assert out.data.split()[:3] == [b"vt100", b"33", b"91"]
    assert b"20 70" in out.data


@pytest.mark.usefixtures("terminals")
async def test_keys_reach_a_program_in_the_terminal(runner: Runner) -> None:
    out = Taken()
    keys = Bytes(b"hello\n", b"\x04")
    terminal = Terminal("vt100", 80, 24)
    assert await run(runner, "cat; exit 4", stdin=keys, stdout=out, terminal=terminal) == 4
    assert out.data.replace(b"\r", b"").startswith(b"hello\nhello\n")


@pytest.mark.usefixtures("terminals")
async def test_the_interrupt_key_ends_a_program_in_the_terminal(runner: Runner) -> None:
    class Interrupt(Bytes):
        async def read(self) -> bytes:
            await out.until(b"ready")
            return await super().read()

    out = Taken()
    keys = Interrupt(b"\x03", ends=False)
    terminal = Terminal("vt100", 80, 24)
    status = await run(
        runner, "echo ready; exec sleep 60", stdin=keys, stdout=out, terminal=terminal
    )
    assert status == 128 + signal.SIGINT


async def test_a_client_that_is_gone_ends_the_command(runner: Runner) -> None:
    class Gone(Bytes):
        async def read(self) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await run(runner, "exec sleep 60", stdin=Gone())


async def test_it_knows_where_commands_start(runner: Runner) -> None:
    out = Taken()
    await run(runner, "pwd -P", stdout=out)
    assert await runner.where() == out.data.decode().strip()
