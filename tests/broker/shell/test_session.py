"""The three ways in, over a real shell: judged first, told what happens, run as judged."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from broker.console.client import Terminal
from broker.console.editor import Interrupted
from broker.errors import EvidenceFailure, TargetUnreachable
from broker.model import Language
from broker.shell.local_target import LocalRunner
from broker.shell.session import run_command, run_interactive, run_script
from broker.targets import CommandTarget
from tests.broker.shell.fakes import PARSER, Desk, FakeClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.shell.runner import Controls, Sink, Source

TERMINAL = Terminal("vt100", 80, 24)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def target(tmp_path: Path) -> CommandTarget:
    return CommandTarget("web1", ("sh",), cwd=tmp_path)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Watched(LocalRunner):
    """Runs for real; remembers what it was given."""

    def __init__(self, target: CommandTarget) -> None:
        super().__init__(target, lambda _: "")
        self.ran: list[str] = []

    async def run(
        self,
        command: str,
        *,
        stdin: Source | None,
        stdout: Sink,
        stderr: Sink,
        terminal: Terminal | None,
        controls: Controls,
    ) -> int:
        self.ran.append(command)
        return await super().run(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            terminal=terminal,
            controls=controls,
        )


async def command(
    desk: Desk, target: CommandTarget, line: str, client: FakeClient
) -> tuple[int, Watched]:
    runner = Watched(target)
    async with asyncio.timeout(20):
        return await run_command(client, desk.gate, target, runner, PARSER, line), runner


# -- one command ----------------------------------------------------------------------------------


async def test_a_command_runs_as_judged_and_its_streams_stay_apart(
    desk: Desk, target: CommandTarget
) -> None:
    client = FakeClient().type(b"in secret\n", b"")
    status, runner = await command(desk, target, "cat;  ls 'no' |& cat >&2; false", client)
    assert status == 1
    assert client.out == b"in ******\n"
    assert b"no" in client.errors
    assert runner.ran == [desk.judged[-1].text] == ["cat; ls no 2>&1 | cat >&2; false"]
    assert desk.recorder.shown.startswith(b"in ******\n")


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("rm -rf x", 77, b"denied by no-rm: no rm -rf"),
        ("ls; /bin/rm -fr x", 77, b"denied by no-rm"),
        ("cat ../../../../../etc/shadow", 77, b"denied by no-shadow"),
        ("cd /etc && cat shadow", 77, b"denied by no-shadow"),
        ("echo $x", 77, b"unquoted $x"),
        ("bash", 77, b"is a shell"),
        ("echo 'x", 65, b"not understood"),
        ("r\0m x", 65, b"U+0000"),
        ("sleep 9 &", 77, b"background job"),
    ],
)
async def test_a_refused_command_never_reaches_the_target(
    desk: Desk, target: CommandTarget, line: str, code: int, says: bytes
) -> None:
    client = FakeClient()
    status, runner = await command(desk, target, line, client)
    assert status == code
    assert says in client.errors
    assert client.errors.startswith(b"interlock: ")
    assert runner.ran == []
    assert "audit: statement.judged" in desk.journal.happened


async def test_an_agent_is_told_in_json(desk: Desk, target: CommandTarget) -> None:
    client = FakeClient(json=True)
    await command(desk, target, "rm -rf x", client)
    told = json.loads(client.errors)
    assert (told["verdict"], told["rule"], told["statement"]) == ("deny", "no-rm", "rm -rf x")
    assert told["digest"] == desk.judged[-1].digest


async def test_a_held_command_runs_once_it_is_approved(
    desk: Desk, target: CommandTarget, tmp_path: Path
) -> None:
    client = FakeClient()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command(desk, target, "touch 'a b'", client))
        await client.until(b"waiting for approval (held), review 7f3a")
        assert names(tmp_path) == []
        desk.reviews.decided.set()
    status, runner = running.result()
    assert status == 0
    assert runner.ran == [desk.reviews.statements[0].text] == ["touch 'a b'"]
    assert names(tmp_path) == ["a b"]


async def test_a_held_command_that_people_refuse_does_not_run(
    desk: Desk, target: CommandTarget
) -> None:
    desk.deny()
    desk.reviews.decided.set()
    client = FakeClient(json=True)
    status, runner = await command(desk, target, "touch x", client)
    assert status == 77
    assert runner.ran == []
    wait, refusal = map(json.loads, client.errors.splitlines())
    assert (wait["verdict"], wait["review"]) == ("review", "7f3a")
    assert refusal["verdict"] == "deny"


async def test_a_signal_withdraws_a_held_command(desk: Desk, target: CommandTarget) -> None:
    client = FakeClient()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command(desk, target, "touch x", client))
        await desk.reviews.asked.wait()
        assert client.signal is not None
        client.signal("INT")
    status, runner = running.result()
    assert (status, runner.ran, desk.reviews.withdrawn) == (130, [], True)


async def test_a_client_that_leaves_withdraws_its_held_command(
    desk: Desk, target: CommandTarget
) -> None:
    client = FakeClient()
    client.leave()
    with pytest.raises(ConnectionError):
        await command(desk, target, "touch x", client)
    assert desk.reviews.withdrawn


async def test_input_that_came_while_it_was_held_reaches_the_command(
    desk: Desk, target: CommandTarget
) -> None:
    client = FakeClient().type(b"early ", b"late", b"")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command(desk, target, "touch x && cat", client))
        await desk.reviews.asked.wait()
        await client.until(b"waiting")
        desk.reviews.decided.set()
    assert running.result()[0] == 0
    assert client.out == b"early late"


async def test_a_signal_reaches_the_running_command(desk: Desk, target: CommandTarget) -> None:
    client = FakeClient()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command(desk, target, "echo on; sleep 60", client))
        await client.until(b"on")
        assert client.signal is not None
        client.signal("TERM")
    assert running.result()[0] == 143


@pytest.mark.parametrize("port", ["audit", "mask", "recorder"])
async def test_without_evidence_nothing_runs_or_is_shown(
    desk: Desk, target: CommandTarget, port: str
) -> None:
    desk.journal.failing = port
    client = FakeClient()
    with pytest.raises(EvidenceFailure):
        await command(desk, target, "echo hi", client)
    assert client.out == b""


async def test_a_program_without_a_shell_takes_one_plain_command(desk: Desk) -> None:
    echo = CommandTarget("web1", ("echo",))
    client = FakeClient()
    assert (await command(desk, echo, "get 'a b'", client))[0] == 0
    assert client.out == b"get a b\n"
    for line in ("get a; id", "get >x", "get *", "get | cat"):
        status, runner = await command(desk, echo, line, FakeClient())
        assert (status, runner.ran) == (77, [])


async def test_builtins_of_a_shell_mean_nothing_to_a_program_without_one(desk: Desk) -> None:
    echo = CommandTarget("web1", ("echo",))
    client = FakeClient()
    assert (await command(desk, echo, "exit 3", client))[0] == 0
    assert client.out == b"exit 3\n"


async def test_patterns_judge_the_text_itself(desk: Desk) -> None:
    upper = CommandTarget("web1", ("tr", "a-z", "A-Z"), shell="patterns")  # noqa: S604 - not subprocess's
    client = FakeClient()
    assert (await command(desk, upper, "get $(key)", client))[0] == 0
    assert client.out == b"GET $(KEY)\n"
    assert desk.judged[-1].language is Language.TEXT
    status, runner = await command(desk, upper, "get a\nrm -rf x", FakeClient())
    assert (status, runner.ran) == (77, [])


# -- a script -------------------------------------------------------------------------------------


async def script(desk: Desk, target: CommandTarget, *chunks: bytes) -> tuple[int, FakeClient]:
    client = FakeClient().type(*chunks, b"")
    async with asyncio.timeout(20):
        status = await run_script(client, desk.gate, target, Watched(target), PARSER)
    return status, client


async def test_a_script_runs_statement_by_statement_in_one_place(
    desk: Desk, target: CommandTarget, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    text = b"""# a comment
cd sub
export MODE='it is'
umask 077
pwd; printenv MODE
if true
then echo yes
fi
cat <<'EOF'
rm -rf /
EOF
umask
cd ..; pwd
pwd
unset MODE
printenv MODE
"""
    status, client = await script(desk, target, *[bytes([byte]) for byte in text])
    sub = f"{tmp_path}/sub"
    assert client.out.decode().splitlines() == [
        *(sub, "it is", "yes", "rm -rf /", "0077", str(tmp_path), sub)
    ]
    assert status == 1


async def test_variables_and_the_status_carry_over_written_out(
    desk: Desk, target: CommandTarget
) -> None:
    text = b"""a=one
b='t wo'
export c=three
false
echo $? $a "$b" $c
read -r a </dev/null; echo "$a|$b"
a=$(date)
"""
    status, client = await script(desk, target, text)
    assert client.out == b"1 one t wo three\n|t wo\n", (client.errors, desk.judged)
    assert b"its value ends with the line" in client.errors
    assert status == 77
    judged = [each.text for each in desk.judged]
    assert "echo 1 one 't wo' three" in judged


async def test_a_shell_that_would_read_a_script_is_not_run_and_its_script_is_judged(
    desk: Desk, target: CommandTarget
) -> None:
    client = FakeClient().type(b"echo $1 $2\nrm -rf x\n", b"")
    status, runner = await command(desk, target, "bash -s -- a b", client)
    assert (status, client.out, runner.ran) == (77, b"a b\n", ["echo a b"])
    assert b"denied by no-rm" in client.errors


async def test_a_loop_is_judged_turn_by_turn(desk: Desk, target: CommandTarget) -> None:
    line = "for what in 'ls' 'rm -rf'; do sh -c \"$what /nonexistent\"; done"
    status, runner = await command(desk, target, line, FakeClient())
    assert (status, runner.ran) == (77, [])


async def test_a_script_ends_at_its_first_refusal(desk: Desk, target: CommandTarget) -> None:
    status, client = await script(desk, target, b"echo one\nrm -rf x\necho two\n")
    assert (status, client.out) == (77, b"one\n")


async def test_a_statement_runs_before_the_next_is_read(desk: Desk, target: CommandTarget) -> None:
    client = FakeClient().type(b"echo one\n")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_script(client, desk.gate, target, Watched(target), PARSER))
        await client.until(b"one")
        client.type(b"exit 9\necho never\n")
    assert (running.result(), client.out) == (9, b"one\n")


async def test_an_unfinished_script_is_not_understood(desk: Desk, target: CommandTarget) -> None:
    status, client = await script(desk, target, b"if true; then\necho x\n")
    assert (status, client.out) == (65, b"")


@pytest.mark.parametrize("data", [b"\xff\n", b"ls\r\n", b"echo '" + b"x" * 70_000])
async def test_what_is_no_text_is_refused(desk: Desk, target: CommandTarget, data: bytes) -> None:
    status, client = await script(desk, target, data)
    assert (status, client.out) == (65, b"")
    assert desk.gate.refusal is not None


async def test_commands_of_a_script_do_not_eat_the_script(
    desk: Desk, target: CommandTarget
) -> None:
    status, client = await script(desk, target, b"cat\necho two\n")
    assert (status, client.out) == (0, b"two\n")


async def test_cd_is_judged_and_answered_by_the_target(
    desk: Desk, target: CommandTarget, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("/etc")
    status, client = await script(desk, target, b"cd link\npwd\ncat shadow\n")
    assert status == 77
    assert client.out == b"/etc\n"
    assert b"denied by no-shadow" in client.errors


async def test_a_directory_that_is_not_there_changes_nothing(
    desk: Desk, target: CommandTarget, tmp_path: Path
) -> None:
    status, client = await script(desk, target, b"cd none\npwd\ncd -\n")
    assert client.out == f"{tmp_path}\n".encode()
    assert b"none" in client.errors
    assert b"no previous directory" in client.errors
    assert status == 1


# -- interactive ----------------------------------------------------------------------------------


class FakeEditor:
    """Answers each prompt with the next line; remembers prompts and what was typed ahead."""

    def __init__(self, *lines: str | type[Interrupted] | None) -> None:
        self.lines = list(lines)
        self.prompts: list[str] = []
        self.ahead = b""
        self.is_complete: Callable[[str], bool] = bool
        self.history: list[str] = []
        self.vi = False

    def __call__(
        self,
        _client: object,
        /,
        *,
        is_complete: Callable[[str], bool],
        history: list[str],
        on_resize: Callable[[Terminal], None],
        **_more: object,
    ) -> FakeEditor:
        self.is_complete, self.history = is_complete, history
        self.on_resize = on_resize
        return self

    async def line(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        line = self.lines.pop(0)
        if line is Interrupted:
            raise Interrupted
        assert line is None or isinstance(line, str)
        if line is not None:
            self.history.append(line)
        return line

    def type_ahead(self, data: bytes) -> None:
        self.ahead += data


async def interactive(
    desk: Desk, target: CommandTarget, editor: FakeEditor, client: FakeClient
) -> int:
    runner = Watched(target)
    async with asyncio.timeout(20):
        return await run_interactive(client, desk.gate, target, runner, PARSER, editor)


async def test_lines_share_a_place_and_a_refusal_does_not_end_the_session(
    desk: Desk, target: CommandTarget, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    editor = FakeEditor("cd sub", "echo $x", Interrupted, "pwd", "history", "sh -c 'exit 3'", None)
    client = FakeClient(TERMINAL)
    assert await interactive(desk, target, editor, client) == 3
    assert editor.prompts[0] == f"web1:{tmp_path}$ "
    assert editor.prompts[1] == f"web1:{tmp_path}/sub$ "
    assert f"{tmp_path}/sub\r\n".encode() in client.out
    assert b"    2  echo $x\r\n" in client.out
    assert b"unquoted $x" in client.errors
    assert client.errors.endswith(b"\r\n")
    assert desk.recorder.inputs[:2] == ["cd sub", "echo $x"]
    assert f"web1:{tmp_path}$ cd sub\r\n".encode() in desk.recorder.shown


async def test_exit_repeats_the_last_status_or_says_its_own(
    desk: Desk, target: CommandTarget
) -> None:
    assert await interactive(desk, target, FakeEditor("false", "exit"), FakeClient(TERMINAL)) == 1
    assert await interactive(desk, target, FakeEditor("exit 7"), FakeClient(TERMINAL)) == 7


async def test_keys_go_to_the_program_that_runs(desk: Desk, target: CommandTarget) -> None:
    client = FakeClient(TERMINAL).type(b"hello\n")
    await interactive(desk, target, FakeEditor("head -n 1", None), client)
    assert client.out.replace(b"\r", b"") == b"hello\nhello\n"


async def test_keys_typed_during_a_wait_are_for_the_next_prompt_and_judged_there(
    desk: Desk, target: CommandTarget
) -> None:
    editor = FakeEditor("touch x", None)
    client = FakeClient(TERMINAL).type(b"rm -rf y\r")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(interactive(desk, target, editor, client))
        await client.until(b"waiting")
        await asyncio.sleep(0)
        desk.reviews.decided.set()
    assert running.result() == 0
    assert editor.ahead == b"rm -rf y\r"
    assert {each.text for each in desk.judged} == {"touch x"}  # judged again after the review


async def test_the_interrupt_key_withdraws_a_held_line(
    desk: Desk, target: CommandTarget, tmp_path: Path
) -> None:
    client = FakeClient(TERMINAL).type(b"abc\x03")
    assert await interactive(desk, target, FakeEditor("touch x", None), client) == 130
    assert desk.reviews.withdrawn
    assert names(tmp_path) == []


async def test_a_window_change_is_recorded_and_reaches_the_program(
    desk: Desk, target: CommandTarget
) -> None:
    editor = FakeEditor("stty size; head -n 1 && stty size", None)
    client = FakeClient(TERMINAL)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(interactive(desk, target, editor, client))
        await client.until(b"24 80")
        editor.on_resize(Terminal("vt100", 70, 20))
        client.type(b"\n")
    assert running.result() == 0
    assert b"20 70" in client.out
    assert "recorder: resize 70x20" in desk.journal.happened


async def test_a_target_that_fails_is_told_and_the_session_goes_on(
    desk: Desk, target: CommandTarget
) -> None:
    class Failing(Watched):
        async def run(self, command: str, **_: object) -> int:
            msg = "target web1 does not answer"
            raise TargetUnreachable(msg)

    client = FakeClient(TERMINAL)
    status = await run_interactive(
        client, desk.gate, target, Failing(target), PARSER, FakeEditor("ls", None)
    )
    assert status == 69
    assert client.errors == b"interlock: target web1 does not answer\r\n"


@pytest.mark.parametrize(
    "line",
    ["export LD_PRELOAD=/x", "export PATH=/x", "PROMPT_COMMAND=id", "unset PATH", "alias a=b"],
)
async def test_what_would_change_later_lines_is_refused(
    desk: Desk, target: CommandTarget, line: str
) -> None:
    client = FakeClient(TERMINAL)
    assert await interactive(desk, target, FakeEditor(line, None), client) == 77
    assert client.errors.startswith(b"interlock: denied")


async def test_the_editor_asks_the_grammar_whether_a_line_is_complete(
    desk: Desk, target: CommandTarget
) -> None:
    editor = FakeEditor(None)
    await interactive(desk, target, editor, FakeClient(TERMINAL))
    assert editor.is_complete("ls")
    assert editor.is_complete("ls )")
    assert not editor.is_complete("if true; then")
