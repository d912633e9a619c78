"""Attacks through a psql that nobody restricts: the sandbox alone must stop each of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from broker.errors import InterlockError
from broker.postgres import launcher
from broker.postgres.program import ENVIRONMENT, Program, find_psql
from broker.postgres.sandbox import LAUNCHER, LIBRARIES, LIMITS, LOADERS, Sandbox
from tests.broker.postgres.consoles import Sink, World, psql_of, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

# `{mark}` is a file that anybody could create; `{port}` the server's own TCP port.
RUNS_A_PROGRAM = {
    "shell": ["\\! touch {mark}; echo H$((0))T"],
    "backtick": ["\\echo `touch {mark}; echo H$((0))T`"],
    "output to a pipe": ["\\o |touch {mark}", "select 1;", "\\o"],
    "result to a pipe": ["select 1 \\g |touch {mark}"],
    "copy to a program": ["\\copy (select 1) to program 'touch {mark}'"],
    "copy from a program": ["\\copy audit(what) from program 'touch {mark}; echo H$((0))T'"],
    "editor": ["\\setenv PSQL_EDITOR 'touch {mark} #'", "\\e"],
    "pager": ["\\setenv PAGER 'touch {mark} #'", "\\pset pager always", "select 1;"],
    "prompt": ["\\set PROMPT2 '%`touch {mark}`'"],
}
WRITES_A_FILE = {
    "output to a file": ["\\o {mark}", "select 1;", "\\o"],
    "write": ["select 1 \\w {mark} \\r"],
    "copy to a file": ["\\copy (select 1) to '{mark}'"],
    "log": ["\\s {mark}"],
}
READS_A_FILE = {
    "include": ["\\i /etc/passwd"],
    "copy from a file": ["\\copy audit(what) from '/etc/passwd'", "select what from audit;"],
    "large object": ["\\lo_import /etc/passwd"],
}
CONNECTS = {
    "tcp": ["\\c postgresql://postgres:postgres@127.0.0.1:{port}/orders", "select current_user;"],
}
EVERYTHING = RUNS_A_PROGRAM | WRITES_A_FILE | READS_A_FILE | CONNECTS


@pytest.fixture
def world(postgres: PostgresServer, orders: str) -> World:
    return World(postgres, orders)


@pytest.fixture
def mark() -> Iterator[Path]:
    """A path that the sandboxed user could create, if only it were let."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder) / "mark"


async def hit(world: World, mark: Path, sandbox: Sandbox, lines: list[str]) -> str:
    """What an attack achieved; empty when nothing."""
    async with psql_of(world, sandbox) as psql:
        sink = Sink()
        for line in lines:
            filled = line.format(mark=mark, port=world.server.port)
            try:
                await psql.run_meta(filled, output=sink.output, error=sink.error)
            except InterlockError:
                break  # it ended, or lost its connection
    shown = sink.shown + sink.errors
    if os.path.exists(mark):  # noqa: PTH110, ASYNC240 - one look, in a test
        return "a file was made"
    for sign in (b"H0T", b"root:", b"lo_import ", b"now connected"):
        if sign in shown:
            return f"{sign!r} was shown"
    return ""


async def test_all_layers_hold_on_this_machine_and_select_works(world: World) -> None:
    async with psql_of(world) as psql:
        assert b"1" in (await told(psql, "select 1;")).shown
        assert psql.missing_layers == ()
        wanted = {"environment", "limits", "no-new-privileges", "landlock", "seccomp"}
        assert wanted <= set(psql.layers)
        assert ("user" in psql.layers) == (os.geteuid() == 0)


@pytest.mark.parametrize("attack", EVERYTHING)
async def test_nothing_works_in_the_sandbox(world: World, mark: Path, attack: str) -> None:
    assert await hit(world, mark, Sandbox(), EVERYTHING[attack]) == ""


@pytest.mark.parametrize("attack", RUNS_A_PROGRAM)
async def test_seccomp_alone_stops_programs(world: World, mark: Path, attack: str) -> None:
    sandbox = Sandbox(limits={}, without=("landlock",))
    assert await hit(world, mark, sandbox, EVERYTHING[attack]) == ""


@pytest.mark.parametrize("attack", RUNS_A_PROGRAM | WRITES_A_FILE | READS_A_FILE | CONNECTS)
async def test_landlock_alone_stops_them(world: World, mark: Path, attack: str) -> None:
    sandbox = Sandbox(limits={}, without=("seccomp",))
    assert await hit(world, mark, sandbox, EVERYTHING[attack]) == ""


@pytest.mark.parametrize("attack", ["shell", "output to a file", "include", "tcp"])
async def test_without_layers_these_attacks_do_work(
    world: World, mark: Path, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacks are real: the tests above could fail."""
    monkeypatch.setitem(ENVIRONMENT, "PATH", "/usr/bin:/bin")
    monkeypatch.setitem(ENVIRONMENT, "SHELL", "/bin/sh")
    sandbox = Sandbox(limits={}, without=("landlock", "seccomp"))
    assert await hit(world, mark, sandbox, EVERYTHING[attack]) != ""


async def test_another_sessions_socket_is_not_for_this_psql(world: World) -> None:
    async with psql_of(world) as mine, psql_of(world) as other:
        folder = Path(other.socket_path).parent
        sink = await told(mine, f"\\c x y {folder} 5432", meta=True)
        assert b"now connected" not in sink.shown
        assert b"connection to server on socket" in sink.errors


async def test_a_layer_that_is_missing_is_said(world: World) -> None:
    async with psql_of(world, Sandbox(without=("landlock",))) as psql:
        assert "landlock" not in psql.layers
        assert psql.missing_layers == ("landlock (switched off)",)


def test_an_unknown_machine_is_said_not_guessed() -> None:
    with pytest.raises(launcher.Unavailable, match="riscv64"):
        launcher.seccomp_program("riscv64")


@pytest.mark.parametrize("machine", launcher.MACHINES)
def test_the_filter_jumps_only_forward_and_inside(machine: str) -> None:
    program = launcher.seccomp_program(machine)
    steps = [program[at : at + 8] for at in range(0, len(program), 8)]
    for at, step in enumerate(steps):
        if step[0] & 7 == 5:  # a jump
            assert at + 1 + step[2] < len(steps)
            assert at + 1 + step[3] < len(steps)
    assert steps[-1][0] & 7 == 6


async def test_a_program_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(InterlockError, match="sandbox could not be built"):
        await Sandbox().start(["/nonexistent/psql"], terminal=0, errors=2, environment={}, read=[])


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run without root")
def test_it_also_holds_without_root() -> None:
    program = Program(find_psql())
    read_end, write_end = os.pipe()
    spec = {
        "report": write_end,
        "user": None,
        "limits": LIMITS,
        "read": [*LIBRARIES, *program.read],
        "execute": [str(program.path), *LOADERS],
        "without": [],
    }
    python = "/usr/bin/python3"  # the one of the tests may be in root's own home
    if not Path(python).exists():
        pytest.skip("no python that an unprivileged user can run")
    copied = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        copied.chmod(0o755)
        script = copied / "launcher.py"
        script.write_bytes(Path(LAUNCHER).read_bytes())
        done = subprocess.run(
            [python, "-I", "-S", script, json.dumps(spec), program.path, "--version"],
            capture_output=True,
            user=65534,
            group=65534,
            extra_groups=[],
            pass_fds=(write_end,),
            env={},
            cwd="/",
            timeout=20,
            check=False,
        )
    finally:
        (copied / "launcher.py").unlink()
        copied.rmdir()
        os.close(write_end)
    report = json.loads(os.read(read_end, 65536))
    os.close(read_end)
    assert {"landlock", "seccomp", "limits"} <= set(report["held"])
    assert done.stdout.startswith(b"psql (PostgreSQL)")
