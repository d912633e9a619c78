"""Every command, file and way out of a line is a part; nothing hides behind another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.errors import Unparsable
from broker.policy.shell import facts
from broker.shell.parser import ShellParser

if TYPE_CHECKING:
    from broker.model import Part

PARSE = ShellParser()


def parts(text: str, cwd: str | None = "/home/u") -> tuple[Part, ...]:
    return facts(PARSE(text), text, cwd, parse=PARSE).parts


def needed(text: str, cwd: str | None = "/home/u") -> list[str]:
    """What rules must cover, as a reader sees it; ``!`` marks what they must name."""
    return [
        f"{'!' if part.explicit else ''}{part}" for part in parts(text, cwd) if not part.implied
    ]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("rm -rf /x", ["rm -rf /x"]),
        ("ls; rm x", ["ls", "rm x"]),
        ("ls | grep a && (rm x) || { id; }", ["ls", "grep a", "rm x", "id"]),
        ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("while read x; do rm x; done </etc/shadow", ["read /etc/shadow", "read x", "rm x"]),
        ("! time rm x", ["rm x"]),
        ("a >out 2>/dev/null <<<b >>/x/../y", ["write /home/u/out", "write /y", "a"]),
        ("cat >&2 2>&-", ["cat"]),
        ("cat </dev/tcp/1.2.3.4/80", ["!read /dev/tcp/1.2.3.4/80", "cat"]),
        ("cat /etc/../etc//./shadow", ["cat /etc/shadow"]),
        ("cat ./a ../b . c", ["cat /home/u/a /home/b /home/u c"]),
        ("cat //etc/shadow", ["cat /etc/shadow"]),
        ("dd if=/x/../y --of=/a//b", ["dd if=/y --of=/a/b"]),
        ("echo http://a/b '~/x' ~/x", ["echo http://a/b /home/u/~/x ~/x"]),
        ("command rm x", ["rm x"]),
        ("nohup nice -n 5 timeout -k 1 9 stdbuf -o0 rm x", ["rm x"]),
        ("env -i LANG=C rm x", ["rm x"]),
        ("sudo -u bob rm x", ["!sudo -u bob rm x", "rm x"]),
        ("xargs -n1 rm -f", ["!xargs -n1 rm -f", "rm -f ⟨input⟩"]),
        ("sh -c 'rm x; id'", ["rm x", "id"]),
        ("bash -ec 'cd /etc && sh -c \"cat ./shadow\"'", ["cat /etc/shadow"]),
        ("bash", ["!bash"]),
        ("echo x | sh", ["echo x", "!sh"]),
        ("bash x.sh", ["!bash x.sh"]),
        ("sh -c 'id' x y", ["id"]),
        ("sh -c -x id", ["!sh -c -x id"]),
        ("/tmp/sh -c id", ["!/tmp/sh -c id"]),
        ("/tmp/env rm x", ["!/tmp/env rm x", "rm x"]),
        ("cat /e?c/sh*w *.log", ["!cat /e?c/sh*w *.log"]),
        ("rm *.log", ["rm *.log"]),
        ("./evil", ["!/home/u/evil"]),
        ("/bin/ls", ["/bin/ls"]),
        ("cd /tmp; pwd; umask 022; true", []),
        ("cd /etc && cat ./x", ["cat /etc/x"]),
        ("cd /etc; cat ./x", ["cat /etc/x", "cat /home/u/x"]),
        ("cd /etc || cat ./x", ["cat /home/u/x"]),
        ("command cd /etc && cat ./x", ["cat /etc/x"]),
        ("(cd /etc) && cat ./x", ["cat /home/u/x"]),
        ("export A=b", []),
        ("unset A; unset PATH", ["!unset PATH"]),
        ("rm\u00a0-rf", ["rm\u00a0-rf"]),
        ("X=/etc; cat $X/shadow", ["cat /etc/shadow"]),
        ("r=rm; $r -r{f,v} x", ["rm -rf -rv x"]),
        ("for f in a {b..c}; do rm $f; done", ["rm a", "rm b", "rm c"]),
        ('for f in *; do rm "$f"; done', ["!rm ⟨$f⟩"]),
        ("for f in $(id); do break; done", ["id"]),
        ('rm "$x"', ["!rm ⟨$x⟩"]),
        ('rm "$(cat "$(id)")"', ["!cat ⟨output⟩", "id", "!rm ⟨output⟩"]),
        ("X=$(rm y); ls", ["rm y", "ls"]),
        ('case "$(rm y)" in a) id ;; *) ls ;; esac', ["rm y", "id", "ls"]),
        ("while rm x; do continue; done", ["rm x"]),
        ("printf '%s' \"$x\"", ["printf %s ⟨$x⟩"]),
        ('find "$x" -name a', ["!find ⟨$x⟩ -name a"]),
        ('bash -c ls "$x"', ["ls"]),
        ("sh -c 'for f in a; do rm \"$f\"; done'", ["!rm ⟨$f⟩"]),
        ("echo $((1+2))", ["echo 3"]),
    ],
)
def test_what_rules_must_cover(text: str, covered: list[str]) -> None:
    assert sorted(needed(text)) == sorted(covered)


@pytest.mark.parametrize(
    ("text", "construct"),
    [
        ("echo $x", "unquoted $x"),
        ("ls; exec sh", "exec"),
        ("exec >x", "exec"),
        ("sudo -s", "option -s of sudo"),
        ("env -S 'rm x'", "option -S of env"),
        ("env LD_PRELOAD=x ls", "LD_PRELOAD= before a command"),
        ("nohup ~/x", "a command name that is not literal"),
        ("sh -c 'rm $x'", "unquoted $x"),
        ('sh -c "$x"', "⟨$x⟩ in the words of a shell"),
        ('env "$x" ls', "a command name that is not literal"),
        ('env -u "$x" ls', "env with this"),
        ('timeout "$x" ls', "timeout with this"),
        ('read "$x"', "⟨$x⟩ in the words of read"),
        ('unset "$x"', "⟨$x⟩ in the words of unset"),
        ('printf "$x" PATH /tmp', "⟨$x⟩ in the words of printf"),
        ('cat "/tmp/$x/../y"', "a path above one that is not known"),
        ('nohup "$(which ls)"', "a command name that is not literal"),
        ('for d in "$x"; do cd /tmp; done', "cd in a loop"),
        ("sh -c 'a |& b'", "|&"),
        ("sh -c 'a; (b'", "sh -c"),
        ("cd; cat ../x", "a relative path after cd"),
        ("cd ~/..; cat x", "a path above the home directory"),
        ("while a; do cd ..; done", "cd in a loop"),
        ("pushd /etc; cat ./x", "pushd"),
        ("; ".join(f"cd /{n}" for n in range(12)), "this many cd"),
        ("cat ~/../../etc/shadow", "a path above the home directory"),
    ],
)
def test_what_cannot_be_judged_is_one_part_that_no_rule_can_name(text: str, construct: str) -> None:
    (part,) = parts(text)
    assert part.explicit
    assert part.command is None
    assert part.path is None
    assert part.object == f"construct: {construct}"
    assert construct in part.why


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("nohup rm x", "nohup rm x"),
        ("sh -c 'id'", "sh -c id"),
        ("cd /etc; cat shadow", "read /etc/shadow"),
        ("cd /etc && cat shadow", "read /etc/shadow"),
        ("dd if=/etc/shadow", "write /etc/shadow"),
        ("grep -f/etc/shadow x", "read /etc/shadow"),
        ("sh -c 'cd /etc; cat shadow'", "read /etc/shadow"),
    ],
)
def test_a_deny_also_meets_wrappers_and_the_paths_of_arguments(text: str, denied: str) -> None:
    assert denied in [str(part) for part in parts(text)]


def test_without_a_known_directory_words_stay_relative() -> None:
    assert needed("cat a/../b/c d ./~/x ./-x", None) == ["cat b/c d ./~/x ./-x"]
    assert needed("echo >x", None) == ["write x", "echo"]


def test_a_shell_without_the_grammar_at_hand_must_be_named() -> None:
    text = "sh -c id"
    (part,) = facts(PARSE(text), text, "/").parts[:1]
    assert part.explicit


@pytest.mark.parametrize("text", ["r\0m", "ls\r", "ls \x1b[A", "x" * 70_000, "ls \udc80", "a\x85"])
def test_control_characters_and_long_texts_are_not_understood(text: str) -> None:
    with pytest.raises(Unparsable):
        facts({"Type": "File"}, text, "/")
