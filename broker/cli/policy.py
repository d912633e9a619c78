"""`interlock check`, `explain`, `test` and `schema`: the rules without a broker."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from broker.cli import options
from broker.config.load import warnings
from broker.config.schema import json_schema
from broker.errors import Unparsable, UsageError
from broker.model import Answer, Identity, Kind, Verdict
from broker.policy.judge import judge
from broker.shell.parser import ShellParser
from broker.targets import PostgresTarget, statement_for

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from broker.config.model import Config


BY_TEXT = (
    "interlock: judged by its text alone; a session also looks through the target's views,"
    " rules and functions"
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    check = commands.add_parser("check", help="validate the configuration, whole")
    options.add_config(check)
    check.set_defaults(run=run_check)
    explain = commands.add_parser("explain", help="the verdict on a statement, the rule and why")
    options.add_config(explain)
    explain.add_argument(
        "--as",
        dest="who",
        action="append",
        required=True,
        metavar="WHO",
        help="a name, group:G, kind:agent|human or issuer:I; may be repeated",
    )
    explain.add_argument("--target", required=True)
    explain.add_argument("--json", action="store_true")
    explain.add_argument("statement", help="one SQL text or command line; - reads standard input")
    explain.set_defaults(run=run_explain)
    test = commands.add_parser("test", help="run the examples kept beside the rules")
    options.add_config(test)
    test.set_defaults(run=run_test)
    schema = commands.add_parser("schema", help="the configuration's JSON Schema, for editors")
    schema.set_defaults(run=run_schema)


def run_check(words: argparse.Namespace) -> int:
    """Say that the file is good, and what it comes to."""
    config = options.config(words)
    for warning in warnings(config):
        print(f"interlock: warning: {warning}", file=sys.stderr)
    print(f"{config.file}: ok, sha256 {config.hash}")
    print(f"listen   {config.host}:{config.port}")
    print(f"state    {config.state}")
    for issuer in config.issuers:
        print(f"issuer   {issuer.name}: {issuer.issuer} ({issuer.kind.value})")
    for target in config.targets.values():
        print(f"target   {target.name} ({target.kind})")
    for rule in config.rules:
        does = [n for n in ("allow", "review", "deny") if getattr(rule, n) is not None]
        print(f"rule     {rule.name}: {', '.join(does)} for {', '.join(rule.who)}")
    return 0


def run_explain(words: argparse.Namespace) -> int:
    """Print the verdict on one statement."""
    config = options.config(words, secrets=False)
    text = sys.stdin.read().rstrip("\n") if words.statement == "-" else words.statement
    verdict = explained(config, words.who, words.target, text)
    if isinstance(config.targets[words.target], PostgresTarget):
        print(BY_TEXT, file=sys.stderr)
    if words.json:
        told = {
            "verdict": verdict.answer.value,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "actions": list(verdict.facts.actions),
            "tables": list(verdict.facts.tables),
            "commands": list(verdict.facts.commands),
            **verdict.facts.resources,
        }
        print(json.dumps(told))
        return 0
    print(f"verdict  {verdict.answer.value}")
    print(f"rule     {verdict.rule}")
    print(f"why      {verdict.reason}")
    if verdict.answer is Answer.REVIEW:
        print(f"asks     {', '.join(verdict.approvers)} ({verdict.quorum} needed)")
    for part in verdict.facts.parts:
        print(f"part     {part}{' (unbounded)' if part.unbounded else ''}")
    return 0


def run_test(words: argparse.Namespace) -> int:
    """Every example must get the verdict, and the rule when one is named."""
    config = options.config(words, secrets=False)
    wrong = 0
    for example in config.examples:
        verdict = explained(config, example.who, example.target, example.statement)
        right = verdict.answer.value == example.verdict
        if example.rule is not None:
            right = right and verdict.rule == example.rule
        if not right:
            wrong += 1
            print(
                f"{config.file}:{example.line}: {example.statement!r} should be "
                f"{example.verdict} but is {verdict.answer.value} by {verdict.rule}"
            )
    print(f"{len(config.examples) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def run_schema(words: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    print(json.dumps(json_schema(), indent=2))
    return 0


def explained(config: Config, who: Iterable[str], target: str, text: str) -> Verdict:
    """The verdict that somebody described by `who` would get."""
    found = config.targets.get(target)
    if found is None:
        msg = f"there is no target {target!r}; the file has: {', '.join(config.targets)}"
        raise UsageError(msg)
    try:
        statement = statement_for(found, text)
        return judge(config.rules, somebody(who), target, statement, ShellParser())
    except Unparsable as error:
        return Verdict(Answer.DENY, "grammar", error.sentence, unparsable=True)


def somebody(who: Iterable[str]) -> Identity:
    """An identity that fits the words: groups, a kind, an issuer, a name."""
    name, kind, issuer = "somebody", Kind.HUMAN, "explain"
    groups: list[str] = []
    for word in who:
        key, colon, value = word.partition(":")
        if colon and key == "group":
            groups.append(value)
        elif colon and key == "kind" and value in {"agent", "human"}:
            kind = Kind(value)
        elif colon and key == "issuer":
            issuer = value
        else:
            name = word
    return Identity(name, kind, issuer, name, tuple(groups))
