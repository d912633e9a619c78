"""What is not literal, or not known, is refused with a sentence that names it."""

from __future__ import annotations

import pytest

from broker.errors import Unparsable
from broker.policy.shell import Refused, build
from broker.shell.parser import ShellParser

PARSE = ShellParser()


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("echo $x", "unquoted $x"),
        ("echo $$", "$$"),
        ("echo $@", "$@"),
        ('echo "$*"', "$*"),
        ("echo $1", "$1"),
        ("echo ${x:0:2}", "${x...}"),
        ("echo ${x:-y}", "${x...}"),
        ("echo ${!x}", "${x...}"),
        ("echo ${#x}", "${x...}"),
        ("echo ${x[1]}", "${x...}"),
        ('echo "${x//a/b}"', "${x...}"),
        ("$(echo rm) x", "unquoted $(...)"),
        ('"$(echo rm)" x', "a command name that is not literal"),
        ('"$x" y', "a command name that is not literal"),
        ("echo `id`", "unquoted $(...)"),
        ('echo "$()"', "empty substitution"),
        ('echo "$(cat <<E\nx\nE\n)"', "here-document in $(...)"),
        ('echo "$(cat <<<x)"', "here-document in $(...)"),
        ("echo $((x+1))", "arithmetic expansion"),
        ("echo $((1<<2))", "arithmetic expansion"),
        ("echo $((010))", "arithmetic expansion"),
        ("echo $((x=1))", "arithmetic expansion"),
        ("echo $((a[$(id)]))", "arithmetic expansion"),
        ("cat <(id)", "process substitution"),
        ("echo @(a|b)", "extended glob"),
        ("{a}", "brace expansion"),
        ("echo a{1..300}", "brace expansion"),
        ('echo a{"b",c}', "brace expansion"),
        ("/???/rm x", "a command name that is not literal"),
        ("~/bin/x", "a command name that is not literal"),
        ("cat ~root/x", "tilde expansion of a user's name"),
        ("echo a=~/x", "tilde after = or :"),
        ("a=rm >x", "assignment"),
        ("PATH=/x", "PATH="),
        ("IFS=; ls", "IFS="),
        ("LC_ALL=zh_CN.GBK", "LC_ALL= alone"),
        ("a=~/x", "tilde in an assignment"),
        ("a+=x", "unknown construct"),
        ('export A="$x"', "a value that is not known here"),
        ("LD_PRELOAD=/x ls", "LD_PRELOAD= before a command"),
        ("PATH=/x ls", "PATH= before a command"),
        ("A=(1 2)", "unknown construct"),
        ("export LD_PRELOAD=/x", "export of LD_PRELOAD"),
        ("export PROMPT_COMMAND=id", "export of PROMPT_COMMAND"),
        ("declare -x A=1", "declare"),
        ("for x; do id; done", "this for loop"),
        ("for PATH in a; do id; done", "PATH="),
        ("for ((;;)); do id; done", "this for loop"),
        ("select x in a; do id; done", "unknown construct"),
        ("case a in a) id;& b) ls;; esac", "case with ;&"),
        ("case a in $x) id;; esac", "unquoted $x"),
        ('case a in "$x") id;; esac', "a pattern that is not known"),
        ("f() { id; }", "function"),
        ("((1))", "arithmetic command"),
        ("[[ a = b ]]", "[[ ]]"),
        ("let x=1", "let"),
        ("coproc id", "coproc"),
        ("sleep 9 &", "background job"),
        ("a && b &", "background job"),
        ("a <>x", "redirection <>"),
        ("a >$x", "unquoted $x"),
        ('a >"$x"', "redirection"),
        ('ls "$x"*', "a pattern with a variable"),
        ('X="a b"; echo $X', "unquoted $X"),
        ("for x in a b; do :; done; wait; echo $x", "$x here"),
        ("a >*.x", "redirection"),
        ("a {fd}>x", "descriptor"),
        ("a 12>x", "descriptor"),
        ("cat <<E\n$x\nE\n", "here-document"),
        ("cat <<E\n\\x\nE\n", "here-document"),
        ("echo $'\\0x'", "$'...' escape"),
        ("echo $'\\xff'", "$'...' escape"),
        ("echo $'\\e[2J'", "control character"),
        ('echo ["a"-z]x[[:alpha:]]', "bracket pattern"),
        ("time { a; }", "time of this"),
        ("time A=1 a", "A= before a command"),
    ],
)
def test_refused(text: str, construct: str) -> None:
    with pytest.raises(Refused) as refused:
        build(PARSE(text))
    assert refused.value.construct == construct
    assert refused.value.why


@pytest.mark.parametrize("text", ["echo $'a'", 'echo $"a"', "a <<<b", "a &>b", "a |& b", "time a"])
def test_code_for_another_shell_may_not_hold_what_only_bash_reads_so(text: str) -> None:
    build(PARSE(text))
    with pytest.raises(Refused):
        build(PARSE(text), portable=True)


@pytest.mark.parametrize(
    "tree",
    [
        {"Type": "File", "Stmts": [{"Cmd": {"Type": "NewClause"}}]},
        {"Type": "File", "Stmts": [{"Cmd": {"Type": "CallExpr", "Args": [], "New": 1}}]},
        {"Type": "File", "Stmts": [{"Disown": True, "Cmd": {"Type": "CallExpr"}}]},
    ],
)
def test_what_a_newer_grammar_may_say_is_refused_not_skipped(tree: dict[str, object]) -> None:
    with pytest.raises(Refused):
        build(tree)


@pytest.mark.parametrize("tree", [{"Stmts": 1}, {"Stmts": [1]}, {"Stmts": [{"Cmd": 1}]}])
def test_a_tree_of_another_form_is_not_understood(tree: dict[str, object]) -> None:
    with pytest.raises(Unparsable):
        build(tree)


def test_commands_nested_too_deeply_are_refused() -> None:
    with pytest.raises(Unparsable):
        build(PARSE("( " * 80 + "id" + ")" * 80))
