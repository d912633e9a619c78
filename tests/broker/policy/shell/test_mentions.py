"""A deny on a path meets every way to name the file that the grammar can see."""

from __future__ import annotations

import pytest

from broker.model import Answer, Language, Statement
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.shell.parser import ShellParser
from tests.fakes import ALICE

PARSE = ShellParser()
RULES = (
    Rule("all", ("*",), ("*",), allow=Block()),
    Rule("files", ("*",), ("*",), allow=Block(paths=("/**",))),
    Rule(
        "named",
        ("*",),
        ("*",),
        allow=Block(
            commands=tuple(
                f"{name} **"
                for name in (
                    *("cat", "xargs", "sort", "sed", "awk", "sh", "bash", "tar", "rm", "cp", "mv"),
                    *("find", "grep", "python3", "git", "install", "ls", "echo"),
                )
            )
        ),
    ),
    Rule("no-files", ("*",), ("*",), deny=Block(paths=("/srv/shadow", "/srv/priv/**", "/run/s/*"))),
    Rule("no-rm", ("*",), ("*",), deny=Block(commands=("rm -rf **", "cat /data/x"))),
)


def answer(line: str) -> Answer:
    statement = Statement(Language.SHELL, line, cwd="/srv/home")
    return judge(RULES, ALICE, "web1", statement, PARSE).answer


@pytest.mark.parametrize(
    "line",
    [
        "cat /s?v/sh*w", "cat /srv/*", "cat /*/shadow", "cat /srv/[s]hadow", "cat /srv/[!x]hadow",
        "cat /srv/*/../shadow", "cat ../sh*", "cat ../*w", "cd ..; cat *", "cd .. && cat sh?dow",
        "cd /srv; cat ./*", "sh -c 'cd /srv; cat s*'", "cat /srv/pri*/x", "cat /srv/priv/*",
        "cat /srv/p*/a/b", "cat **/shadow /srv/**w",
        "cd /srv; grep -fshadow x", "cd /srv; grep -vfshadow x",
        "date -uf/srv/shadow", "date -uf../shadow", "grep --file=../shadow x",
        "mount-like src=/srv/shadow,ro", "tool --from=a:/srv/shadow", "curl-like @/srv/shadow",
        "sed 'r /srv/shadow' x", "sed r/srv/shadow x", "python3 -c 'open(\"/srv/shadow\")'",
        "awk '{getline l < \"/srv/shadow\"}'", "cat $'/srv/priv/a\\nb'",
        "grep -r x /srv", "grep -R x ..", "cd /srv; grep -r x", "cd /; grep -rn x srv",
        "grep -d recurse x /srv", "rg x /srv", "cp -r /srv /tmp", "cp -a /srv /tmp", "cp x /srv",
        "mv x /srv", "mv /srv /tmp/y", "diff /srv /tmp", "tar cf - /srv", "tar -C /srv -cf - x",
        "chmod -R 777 /srv", "chown --recursive u /", "rm -r /srv", "install x /srv",
        "echo x | xargs cat", "sort --files0-from=-", "wc --files0-from=-", "find -files0-from x",
        "tar -cf - -T list", "cat /var/run/s/x", "cat < /var/run/s/x",
        "bash -c 'cat /srv/shadow' x y", "cat ~/../srv/shadow",
        "cd /srv; cd / && cd - && cat shadow", "cd -LP /srv && cat shadow",
        "cat /proc/self/root/srv/shadow", "cat /proc/self/cwd/../shadow", "cat /proc/1/fd/3",
        "cat /proc/*/root/srv/shadow", "cat /p*/self/./cwd//x", "cat /proc/1/task/1/root/x",
        "cat < /proc/self/root/srv/shadow", "/proc/self/root/bin/cat x",
        "echo " + "-" + "x" * 300,
    ],
)  # fmt: skip
def test_is_denied(line: str) -> None:
    assert answer(line) is Answer.DENY


@pytest.mark.parametrize(
    "line",
    [
        "rm *", "rm -r* x", "rm -? x", "rm [a-z]* x", "echo x | xargs rm", "rm ?rf x",
        "cat /dat?/x", "cat /data/*", "bash -c 'rm *' x",
    ],
)  # fmt: skip
def test_a_deny_of_a_command_meets_what_globs_may_stand_for(line: str) -> None:
    assert answer(line) is Answer.DENY


@pytest.mark.parametrize(
    "line",
    [
        "cat *", "cat ./*.log", "ls -la /srv", "ls -R /srv", "ls /var/log/*", "rm ./*.log",
        "grep x *.c", "grep -r x .", "grep -r x /srv/home", "grep '/srv' x", "find . -name '*.c'",
        "cp a b", "cp -r a /tmp", "mv a b", "tar cf - .", "stat /srv", "du -sh /srv", "echo /srv*",
        "cat /proc/meminfo", "ls /proc/1/fd", "readlink /proc/1/exe", "date +%F/%T", "echo a=b:c,d",
        "sed -n 1,5p x", "ls .??*", "ls .[a-z]*", "cd /tmp; cat x", "printf '%s\\n' '/*'",
        "ls ~", "rm -f '*'", "touch /srv", "sort -u x", "echo http://x/srv/shadow",
    ],
)  # fmt: skip
def test_daily_work_is_not(line: str) -> None:
    assert answer(line) is Answer.ALLOW


@pytest.mark.parametrize("pattern", [".*", "./.*", "a/.*/b", ".?", "..*", ".[!a]", ".**", ".?*"])
def test_a_pattern_that_may_lead_upward_is_refused(pattern: str) -> None:
    assert answer(f"ls {pattern}") is Answer.DENY


def test_many_patterns_on_one_line_are_refused_and_soon() -> None:
    assert answer("ls " + "a*b " * 3000) is Answer.DENY
    assert answer("".join(["ls", *(f" -abcdefg{n}" for n in range(4500))])) is Answer.DENY


def test_a_home_that_the_target_did_not_tell_may_be_anywhere() -> None:
    assert answer("cat ~/x") is Answer.DENY  # as in /srv/priv/x
    assert answer("cat ~/x/y/z/.bashrc") is Answer.DENY
    assert answer("sh -c 'ls ~'") is Answer.ALLOW
