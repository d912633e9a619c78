"""What `whoami` says one may do."""

from __future__ import annotations

from broker.model import Identity, Kind
from broker.policy import may
from broker.policy.may import only_reads, summary
from broker.policy.rules import Block, Rule

ME = Identity("bot", Kind.AGENT, "github", "s", groups=("ci",))
ALL = ("*",)
READ = Block(actions=("select", "explain"), tables=("public.*",), max_rows=10000)
WRITE = Block(actions=("insert", "update", "delete"), approvers=("group:dba",))
LINES = Block(commands=("ls **", "cat /var/log/**"))
RULES = [
    Rule("unbounded", ALL, ALL, deny=Block(actions=("update", "delete"), unbounded=True)),
    Rule("read", ("group:ci",), ("orders",), allow=READ),
    Rule("write", ("group:ci",), ("orders",), review=WRITE),
    Rule("other", ("group:dba",), ("orders",), allow=Block()),
    Rule("ops", ("group:ci",), ("web*",), allow=LINES, review=Block(terminal=True, quorum=2)),
]


def test_a_database() -> None:
    assert summary(RULES, ME, "orders", "postgres") == [
        "select, explain on public.* (max 10000 rows)",
        "insert, update, delete on any table after review by group:dba",
        "never: update/delete without WHERE",
    ]


def test_a_server() -> None:
    assert summary(RULES, ME, "web1", "ssh") == [
        "run ls **, cat /var/log/**",
        "a raw terminal after review by 2 of nobody",
    ]


def test_what_is_allowed_without_limits_and_functions() -> None:
    rules = [
        Rule("a", ALL, ALL, allow=Block()),
        Rule("b", ALL, ALL, allow=Block(functions=("f", "g"))),
        Rule("c", ALL, ALL, deny=Block(tables=("*.secrets",))),
    ]
    assert summary(rules, ME, "orders", "postgres") == [
        "anything that no rule must name",
        "functions f, g",
        "never: anything on *.secrets",
    ]


def test_who_may_do_nothing_is_told_nothing() -> None:
    assert summary([], ME, "orders", "postgres") == []


def test_who_only_reads() -> None:
    assert only_reads(RULES[:2], ME, "orders")
    assert not only_reads(RULES, ME, "orders"), "a write after review is a write"
    for more in (Block(), Block(tables=("public.*",)), Block(functions=("setval",))):
        rule = Rule("more", ALL, ALL, allow=more)
        assert not only_reads([*RULES[:2], rule], ME, "orders")
    assert only_reads([*RULES[:2], Rule("ops", ALL, ALL, allow=LINES)], ME, "orders")


def test_commands_for_completion_are_those_that_may_run() -> None:
    rules = (
        Rule("ops", ("*",), ("web1",), allow=Block(commands=("ls **", "systemctl status *"))),
        Rule("held", ("*",), ("web1",), review=Block(commands=("touch **",), approvers=("g",))),
        Rule("other", ("group:nobody",), ("web1",), allow=Block(commands=("reboot",))),
        Rule("elsewhere", ("*",), ("db",), allow=Block(commands=("psql **",))),
        Rule("no", ("*",), ("web1",), deny=Block(commands=("systemctl **", "rm -rf **"))),
    )
    assert may.commands(rules, ME, "web1") == ["ls **", "touch **"]
