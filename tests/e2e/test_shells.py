"""Shell targets: a local one, and a real sshd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer

TARGETS = pytest.mark.parametrize("target", ["box", "web"])


@TARGETS
def test_a_command_keeps_its_exit_code_and_both_outputs_apart(demo: Demo, target: str) -> None:
    ran = demo.ssh(f"{target}@engineer", "echo out; ls /nowhere")
    assert ran.stdout == "out\n"
    assert "nowhere" in ran.stderr
    assert ran.returncode == 2


@TARGETS
@pytest.mark.parametrize(
    "line",
    [
        "rm -rf /tmp/interlock-never",
        "r'm' -rf /tmp/interlock-never",
        "$(echo rm) -rf /tmp/interlock-never",
        "echo a; rm -rf /tmp/interlock-never",
        "echo a | xargs rm -rf",
        "sh -c 'rm -rf /tmp/interlock-never'",
        "echo x > /tmp/interlock-never",
        "eval echo x",
        "LD_PRELOAD=/x ls",
    ],
)
def test_a_line_that_the_rules_do_not_cover_is_denied(demo: Demo, target: str, line: str) -> None:
    ran = demo.ssh(f"{target}@engineer", line)
    assert ran.returncode == 77, (ran.stdout, ran.stderr)
    assert "interlock: denied by" in ran.stderr


@TARGETS
def test_a_line_that_is_no_shell_is_not_sent(demo: Demo, target: str) -> None:
    ran = demo.ssh(f"{target}@engineer", "echo 'unfinished")
    assert ran.returncode == 65
    assert ran.stdout == ""


@TARGETS
def test_a_script_is_judged_line_by_line(demo: Demo, target: str) -> None:
    ran = demo.ssh(f"{target}@engineer", given="echo one\ncd /\npwd\nrm -rf x\necho never\n")
    assert ran.stdout == "one\n/\n"
    assert ran.returncode == 77


@TARGETS
def test_quoting_reaches_the_program_as_typed(demo: Demo, target: str) -> None:
    line = "echo 'a  b' \"c'd\" e\\ f $'g\\th' '$HOME' '*'"
    ran = demo.ssh(f"{target}@engineer", line)
    assert ran.stdout == "a  b c'd e f g\th $HOME *\n"


def test_output_is_masked(demo: Demo) -> None:
    ran = demo.ssh("box@engineer", "cat notes.txt")
    assert ran.returncode == 0
    assert "order 17" in ran.stdout
    assert "ada.byron" not in ran.stdout
    assert "4111" not in ran.stdout


def test_standard_input_reaches_the_command(demo: Demo) -> None:
    ran = demo.ssh("box@engineer", "wc -l", given="a\nb\nc\n")
    assert ran.stdout.strip() == "3"


def test_a_large_output_is_whole(demo: Demo) -> None:
    big = demo.folder / "box" / "big"
    big.write_text("".join(f"line {n} of a long file\n" for n in range(200_000)))
    ran = demo.ssh("box@engineer", "cat big")
    big.unlink()
    assert ran.stdout.count("\n") == 200_000


def test_a_review_of_a_command_line(demo: Demo) -> None:
    asking = demo.begin("box@engineer", "touch seen")
    card = demo.waiting("touch seen")
    assert card["commands"] == ["touch seen"]
    demo.ssh("broker@approver", f"deny {card['id']} --reason 'read-only box'")
    _, err = asking.communicate(timeout=30)
    assert asking.returncode == 77
    assert "read-only box" in err
    assert not (demo.folder / "box" / "seen").exists()


def test_what_a_line_touches_is_on_the_card_and_in_the_log(demo: Demo) -> None:
    line = "touch /tmp/interlock-touched && echo done"
    asking = demo.begin("box@engineer", line)
    card = demo.waiting("interlock-touched")
    assert card["touches"] == ["write /tmp/interlock-touched"]
    shown = demo.ssh("broker@approver", f"show {card['id']}").stdout
    assert "touches    write /tmp/interlock-touched\n" in shown
    assert demo.ssh("broker@approver", f"deny {card['id']} --reason no").returncode == 0
    asking.communicate(timeout=40)
    asked = demo.ssh("broker@engineer", f"check box '{line}' --json").stdout
    assert json.loads(asked)["writes"] == ["/tmp/interlock-touched"]
    judged = [e for e in demo.events() if e["type"] == "statement.judged" and "writes" in e]
    assert judged[-1]["writes"] == ["/tmp/interlock-touched"]
