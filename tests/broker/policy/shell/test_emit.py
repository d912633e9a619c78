"""What is sent can be read in one way only: by the grammar, by bash, and by dash."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from broker.policy.shell import Refused, build, canonical, emit
from broker.policy.shell.tree import Here, Simple
from broker.shell.parser import ShellParser
from tests.broker.policy.shell.trees import any_tree, literals, runnable, word

if TYPE_CHECKING:
    from pathlib import Path

    from broker.policy.shell.tree import Node, Word

PARSE = ShellParser()
SHELLS = [name for name in ("bash", "dash") if shutil.which(name)]
SLOW = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


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
        ("X=1; echo $X'b'", "X=1; echo 1b"),
        ('echo "$(id)" "a`id`"', 'echo "$( id )" a"$( id )"'),
        ("echo ${x}y", None),
        ('echo "${x}y"', 'echo "$x"y'),
        ("echo $? $HOME ${HOME}/a x$HOME", 'echo "$?" ~ ~/a x"$HOME"'),
        ("for i in a {1..2}; do echo $i; done", "{ echo a; echo 1; echo 2; }"),
        ("for i in; do echo $i; done", "{ true; }"),
        ('for i in *.c $(ls); do cc "$i"; done', 'for i in *.c $( ls ); do cc "$i"; done'),
        ("case a in a|b*) ls;; c) ;; esac", "case a in (a|b*) ls ;; (c) ;; esac"),
        ("echo $((7/-2)) $(( (1+2)*3 % 4 ))", "echo -3 1"),
    ],
)
def test_the_canonical_form(typed: str, sent: str | None) -> None:
    if sent is None:
        with pytest.raises(Refused):
            canonical(PARSE(typed))
    else:
        assert canonical(PARSE(typed)) == sent


WRITTEN = st.sampled_from(["a", "'b c'", "x$x", '"$x"', "$((n+2))", "{p,q}$n", "$?", '"$(say $x)"'])
STEPS = st.recursive(
    st.one_of(
        st.lists(WRITTEN, max_size=3).map(lambda words: "say " + " ".join(words)),
        st.sampled_from(["x=1", "x=two; n=3", 'x="$(say hi)"', "false", "read -r x <in"]),
    ),
    lambda inner: st.one_of(
        st.builds("for x in {} {}; do {}; done".format, WRITTEN, WRITTEN, inner),
        st.builds("for x in {}; do {}; break; done".format, WRITTEN, inner),
        st.builds("if {}; then {}; else {}; fi".format, inner, inner, inner),
        st.builds("( {} )".format, inner),
        st.builds("{{ {}; }} | cat".format, inner),
        st.builds("case $x in 1|two) {};; *) {};; esac".format, inner, inner),
        st.builds("{} && {{ {}; }}".format, st.sampled_from(["true", "false"]), inner),
        st.builds("{}; {}".format, inner, inner),
    ),
    max_leaves=6,
)


@SLOW
@example('x=1; while say "$x"; do x=2; false; break; done; say "$x"')
@example("for x in 1 2; do for n in 3 4; do say $x $n; done; done; say $x $n")
@given(STEPS)
def test_what_was_written_out_does_what_was_typed(tmp_path: Path, typed: str) -> None:
    text = f'x=0; n=1; {typed}; say end "$x"'
    try:
        sent = emit(build(PARSE(text)))
    except Refused:
        assume(False)
    (tmp_path / "in").write_text("line\n")
    say = tmp_path / "say"
    say.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"; echo\n")
    say.chmod(0o755)

    def ran(shell: str, script: str) -> bytes:
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(
            [shell, "-c", script],
            capture_output=True,
            timeout=10,
            check=False,
            env=env,
            cwd=tmp_path,
        )
        return done.stdout

    assert {shell: ran(shell, sent) for shell in SHELLS} == dict.fromkeys(
        SHELLS, ran("bash", text)
    ), sent
