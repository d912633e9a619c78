"""What is sent can be read in one way only: by the grammar, by bash, and by dash."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.policy.shell import build, canonical, emit
from broker.policy.shell.tree import Here, Simple
from broker.shell.parser import ShellParser
from tests.broker.policy.shell.trees import any_tree, literals, runnable, word

if TYPE_CHECKING:
    from broker.policy.shell.tree import Node, Word

PARSE = ShellParser()
SHELLS = [name for name in ("bash", "dash") if shutil.which(name)]
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def run(shell: str, text: str) -> bytes:
    done = subprocess.run(
        [shell, "-c", text], capture_output=True, timeout=10, check=False, env={"LANG": "C.UTF-8"}
    )
    assert done.stderr == b"", (text, done.stderr)
    return done.stdout


@SLOW
@given(any_tree)
def test_the_grammar_reads_back_the_tree_that_was_emitted(tree: Node) -> None:
    text = emit(tree)
    again = build(PARSE(text))
    assert again == tree
    assert emit(again) == text


@SLOW
@given(st.lists(literals, max_size=6))
def test_real_shells_give_a_program_exactly_the_judged_words(words: list[Word]) -> None:
    text = emit(Simple((word("/usr/bin/printf"), word("<%s>\\0"), *words)))
    expected = b"".join(b"<%s>\0" % each.text.encode() for each in words) or b"<>\0"
    assert {shell: run(shell, text) for shell in SHELLS} == dict.fromkeys(SHELLS, expected)


@SLOW
@example(Simple((word("cat"),), (Here(0, "E\xa0\n"),)))  # dash lost a byte here
@given(runnable)
def test_bash_and_dash_run_the_same_program(tree: Node) -> None:
    text = emit(tree)
    outputs = {run(shell, text) for shell in SHELLS}
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("ls -l /tmp", "ls -l /tmp"),
        ("  ls   -l ;", "ls -l"),
        ("r'm' -r\"\"f x # why", "rm -rf x"),
        ("$'\\162\\155' x", "rm x"),
        ('"r"$"m" x', "rm x"),
        ("r\\\nm x", "rm x"),
        ("echo 'it'\\''s'", "echo 'it'\\''s'"),
        ("'if' x", "'if' x"),
        ("'A=1' x", "'A=1' x"),
        ("echo ''", "echo ''"),
        ("rm\u00a0-rf\u00a0/x", "'rm\u00a0-rf\u00a0/x'"),
        ("a |& b", "a 2>&1 | b"),
        ("a &>x", "a >x 2>&1"),
        ("a >|x", "a >x"),
        ("cat <<<hi", "cat <<'EOF'\nhi\nEOF\n"),
        ("cat <<-X\n\ta\n\tX\n", "cat <<'EOF'\na\nEOF\n"),
        ("ls ~/'a b' *.t[xy]t '*'", "ls ~/'a b' *.t[xy]t '*'"),
        ("find . -name {} \\;", "find . -name '{}' ';'"),
        ("</dev/null rm x", "rm x </dev/null"),
        ("# nothing", ""),
        ("[ -f x ]", "[ -f x ]"),
    ],
)
def test_the_canonical_form(typed: str, sent: str) -> None:
    assert canonical(PARSE(typed)) == sent
