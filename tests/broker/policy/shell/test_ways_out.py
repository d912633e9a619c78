"""A program that can do more than its words show must be named by a rule."""

from __future__ import annotations

import pytest

from broker.policy.shell.ways_out import why_explicit


@pytest.mark.parametrize(
    "line",
    [
        "bash", "python3.11 x", "perl -e x", "vim x", "less x", "man rm", "find . -delete",
        "find . -exec rm x", "find . -okdir x", "tar cf x", "awk x", "make", "ssh h", "tmux",
        "eval x", "source x", ". x", "trap x", "alias", "set -o vi", "sed -i s/a/b/ x",
        "sed 1e x", "sed s/a/b/e x", "sed s/a/b/w x", "sed -f x y", "sed -e p -e 1e", "sed p -i x",
        "sort --compress-program=x", "printf -v x", "test -v a[x]", "[ -v x ]", "read PATH",
        "/tmp/zz -rf", "/usr/bin/vi x", "history -w x", "unset PATH", "ln -s a b", "gawk x",
        "busybox rm x", "su -c x", "docker run x", "systemctl status x", "git log", "export A=b",
    ],
)  # fmt: skip
def test_must_be_named(line: str) -> None:
    assert why_explicit(tuple(line.split()))


@pytest.mark.parametrize(
    "line",
    [
        "ls -l", "cat x", "rm -rf x", "grep -v x", "find . -name x", "sed -n 1,5p x",
        "sed s/a/b/g x", "sed -n -e /x/p y", "sort -u x", "printf %s x", "test -f x", "read -r x",
        "/usr/bin/ls", "echo -v", "unset A_B", "ps aux", "df", "history",
    ],
)  # fmt: skip
def test_says_what_it_does(line: str) -> None:
    assert why_explicit(tuple(line.split())) is None
