"""Programs on this machine: an environment from nothing, no shell where none is meant."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from broker.errors import TargetUnreachable
from broker.shell.local_target import LocalRunner
from broker.targets import CommandTarget, SecretSource
from tests.broker.shell.test_runners import Taken, held, run


async def output(target: CommandTarget, command: str) -> str:
    out = Taken()
    await run(LocalRunner(target, lambda source: f"value of {source.env}"), command, stdout=out)
    return out.data.decode()


async def test_the_environment_is_made_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_SECRET", "x")
    env: dict[str, str | SecretSource] = {"A": "b", "PASSWORD": SecretSource(env="DB")}
    lines = (await output(CommandTarget("t", ("sh",), env=env), "env")).splitlines()
    names = {line.split("=", 1)[0] for line in lines}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        *("PATH", "HOME", "LANG", "USER", "LOGNAME", "A", "PASSWORD")
    }
    assert "A=b" in lines
    assert "PASSWORD=value of DB" in lines


async def test_no_program_gains_privileges() -> None:
    target = CommandTarget("t", ("sh",))
    assert "NoNewPrivs:\t1" in await output(target, "cat /proc/self/status")


async def test_the_directory_is_the_configured_one(tmp_path: Path) -> None:
    target = CommandTarget("t", ("sh",), cwd=tmp_path)
    there = os.path.realpath(tmp_path)  # noqa: ASYNC240 - a test
    assert await output(target, "pwd -P") == f"{there}\n"
    assert await LocalRunner(target, lambda _: "").where() == there


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_it_runs_as_the_configured_user() -> None:
    target = CommandTarget("t", ("sh",), cwd=Path("/"), user="nobody")
    assert await output(target, "id -u; id -G") == (
        f"{pwd.getpwnam('nobody').pw_uid}\n{pwd.getpwnam('nobody').pw_gid}\n"
    )


def test_an_unknown_user_is_told() -> None:
    with pytest.raises(TargetUnreachable, match="not known"):
        LocalRunner(CommandTarget("t", ("sh",), user="no-such-user"), lambda _: "")


async def test_a_program_without_a_shell_is_given_words_and_nothing_expands() -> None:
    target = CommandTarget("t", ("printf", "<%s>"))
    assert not LocalRunner(target, lambda _: "").has_shell
    assert (
        await output(target, "a 'b c' '$(id)' '; id' 'it'\\''s'") == "<a><b c><$(id)><; id><it's>"
    )


async def test_with_patterns_the_line_is_the_programs_input() -> None:
    target = CommandTarget("t", ("tr", "a-z", "A-Z"), shell="patterns")  # noqa: S604 - not subprocess's
    assert await output(target, "get $(id)") == "GET $(ID)\n"


async def test_a_missing_program_is_told() -> None:
    with pytest.raises(TargetUnreachable, match="was not found"):
        await output(CommandTarget("t", ("no-such-program",)), "x")


async def test_what_a_line_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    with held(tmp_path) as (pipe, let_go):
        await output(CommandTarget("t", ("sh",)), f"exec 9>{pipe}; sleep 60 & echo")
        await let_go()
