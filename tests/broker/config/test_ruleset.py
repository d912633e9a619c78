from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.broker.config.samples import ISSUERS, TARGETS, loaded, only, refused, with_rule

if TYPE_CHECKING:
    from pathlib import Path

WHO = "who: ['*']"
ALL = f"{WHO}, targets: ['*']"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("who: [], targets: [db], deny: {}", "rules[0].who: must not be empty"),
        (f"{WHO}, targets: [], deny: {{}}", "rules[0].targets: must not be empty"),
        (
            f"{WHO}, targets: [dbb], deny: {{}}",
            "rules[0] (r).targets: there is no target `dbb` (did you mean `db`?)",
        ),
        (f"{WHO}, targets: ['x*'], deny: {{}}", "rules[0] (r).targets: there is no target `x*`"),
        (ALL, "rules[0] (r): says nothing: add allow, review or deny"),
        (
            "who: ['group:*'], targets: [db], deny: {}",
            "rules[0].who[0]: only `*` alone means everybody; there are no patterns in names",
        ),
        (
            "who: ['kind:robot'], targets: [db], deny: {}",
            "rules[0].who[0]: a kind is kind:human or kind:agent",
        ),
        (
            "who: ['issuer:crop'], targets: [db], deny: {}",
            "rules[0] (r).who: `issuer:crop` names no issuer here (did you mean `corp`?)",
        ),
        (
            "who: ['human:ann@crop'], targets: [db], deny: {}",
            "rules[0] (r).who: `human:ann@crop` names no issuer here (did you mean `corp`?)",
        ),
        (
            "who: ['Domain Users'], targets: [db], deny: {}",
            "rules[0].who[0]: is not a name, group:NAME, kind:human, kind:agent or issuer:NAME",
        ),
        (
            f"{WHO}, targets: [db], deny: {{commands: ['rm **']}}",
            "rules[0] (r).deny: commands can never match: all of its targets are databases",
        ),
        (
            f"{WHO}, targets: [db], allow: {{terminal: true}}",
            "rules[0] (r).allow: terminal can never match: all of its targets are databases",
        ),
        (
            f"{WHO}, targets: [web, tool], deny: {{actions: [drop]}}",
            "rules[0] (r).deny: actions can never match: none of its targets is a database",
        ),
        (
            f"{WHO}, targets: [web], allow: {{tables: ['a.b']}}",
            "rules[0] (r).allow: tables can never match: none of its targets is a database",
        ),
        (
            f"{ALL}, deny: {{tables: ['a.b'], commands: [ls]}}",
            "rules[0] (r).deny: tables is about databases and commands about command lines: "
            "nothing is both; make two rules",
        ),
        (
            f"{ALL}, deny: {{actions: [slect]}}",
            "rules[0] (r).deny: unknown action `slect` (did you mean `select`?)",
        ),
        (
            f"{ALL}, deny: {{actions: [truncate, delete], unbounded: true}}",
            "rules[0] (r).deny: `truncate` is never unbounded; only update and delete are",
        ),
        (
            f"{ALL}, deny: {{tables: [shop.public.orders]}}",
            "rules[0] (r).deny: `shop.public.orders` can never match: tables are schema.table",
        ),
        (
            f"{ALL}, deny: {{commands: ['rm **'], terminal: true}}",
            "rules[0] (r).deny: a block about raw terminals says nothing about commands; "
            "make two rules",
        ),
        (
            f"{ALL}, deny: {{commands: ['rm **'], actions: [exec]}}",
            "rules[0] (r).deny: `exec` beside commands would match neither; leave actions out",
        ),
        (
            f"{ALL}, allow: {{actions: [write]}}",
            "rules[0] (r).allow: `write` allows nothing by itself; list paths",
        ),
        (
            f"{ALL}, allow: {{actions: [exec]}}",
            "rules[0] (r).allow: `exec` allows nothing by itself; list commands",
        ),
        (
            f"{ALL}, deny: {{paths: [etc/passwd]}}",
            "rules[0] (r).deny: `etc/passwd` can never match: paths are judged from the root "
            "(write `/etc/passwd` or `**/etc/passwd`)",
        ),
        (f"{ALL}, deny: {{commands: [' ']}}", "rules[0] (r).deny: a pattern in commands is blank"),
        (f"{ALL}, review: {{}}", "rules[0].review: the key `approvers` is missing"),
        (f"{ALL}, review: {{approvers: []}}", "rules[0].review.approvers: must not be empty"),
        (
            f"{ALL}, review: {{approvers: [ann, bob], quorum: 3}}",
            "rules[0] (r).review: fewer approvers than its quorum: nobody could approve",
        ),
        (
            f"{ALL}, allow: {{approvers: [ann]}}",
            "rules[0].allow.approvers: unknown key `approvers`",
        ),
        (
            f"{ALL}, deny: {{max_rows: 1}}",
            "rules[0].deny.max_rows: unknown key `max_rows`",
        ),
        (
            f"{ALL}, deny: {{}}, when: {{taem: x}}",
            "rules[0] (r).when: no issuer keeps the claim `taem`; add it to its `keep` "
            "(did you mean `team`?)",
        ),
        (
            f"{ALL}, allow: {{table: [a.b]}}",
            "rules[0].allow.table: unknown key `table` (did you mean `tables`?)",
        ),
    ],
)
def test_a_rule_that_can_never_match_is_an_error(tmp_path: Path, rule: str, said: str) -> None:
    assert only(tmp_path, with_rule(rule)) == f"9: {said}"


@pytest.mark.parametrize(
    "rule",
    [
        f"{ALL}, deny: {{actions: [drop]}}",
        f"{ALL}, deny: {{actions: [write], paths: ['/etc/**']}}",
        f"{ALL}, deny: {{actions: [exec]}}",
        f"{ALL}, allow: {{actions: [read], paths: ['/var/log/**']}}",
        f"{ALL}, allow: {{tables: [orders, '*', 'public.*', '*.*']}}",
        f"{ALL}, allow: {{terminal: true}}",
        f"{ALL}, review: {{terminal: true, approvers: ['group:x'], quorum: 2}}",
        f"{ALL}, review: {{approvers: ['group:dba'], quorum: 3}}",
        f"{ALL}, review: {{approvers: [ann, bob], quorum: 2}}",
        "who: [ann, 'group:repo:acme/x', 'kind:agent', 'issuer:corp', 'human:ann@x@corp'], "
        "targets: [db], deny: {tables: ['*']}",
        f"{ALL}, allow: {{}}, when: {{team: [a, 'b*']}}",
    ],
)
def test_a_rule_that_can_match_is_taken(tmp_path: Path, rule: str) -> None:
    assert len(loaded(tmp_path, with_rule(rule)).rules) == 1


def test_patterns_of_targets_become_the_names_that_they_match(tmp_path: Path) -> None:
    rule = loaded(tmp_path, with_rule("who: ['*'], targets: ['*b', tool, db], deny: {}")).rules[0]
    assert rule.targets == ("db", "web", "tool")


def test_everything_stays_everything(tmp_path: Path) -> None:
    assert loaded(tmp_path, with_rule(f"{ALL}, deny: {{}}")).rules[0].targets == ("*",)


def test_paths_need_a_target_whose_lines_are_understood(tmp_path: Path) -> None:
    text = with_rule("who: ['*'], targets: [tool, db], deny: {paths: ['/etc/**']}")
    assert len(loaded(tmp_path, text).rules) == 1
    blind = text.replace("argv: [cat]", "argv: [cat], shell: patterns")
    assert "paths can never match" in only(tmp_path, blind)


@pytest.mark.parametrize("name", ["default", "grammar", "console"])
def test_names_that_the_broker_gives_its_own_refusals(tmp_path: Path, name: str) -> None:
    text = with_rule(f"{ALL}, deny: {{}}").replace("name: r,", f"name: {name},")
    said = f"9: rules[0].name: `{name}` is what the broker's own refusals say"
    assert only(tmp_path, text) == said


def test_two_rules_of_one_name(tmp_path: Path) -> None:
    text = with_rule(f"{ALL}, deny: {{}}")
    assert only(tmp_path, text + text.splitlines()[-1]) == "10: rules[1]: the name r is taken"


def test_a_target_with_a_problem_of_its_own_is_not_called_unknown(tmp_path: Path) -> None:
    text = ISSUERS + TARGETS.replace("user=app", "usr=app")
    text += "rules: [{name: r, who: ['*'], targets: [db], deny: {actions: [drop]}}]\n"
    assert [said.split(":")[1] for said in refused(tmp_path, text)] == [" targets.db.dsn"]


def test_an_issuer_with_a_problem_of_its_own_is_not_called_unknown(tmp_path: Path) -> None:
    text = ISSUERS.replace("kind: human", "kind: humn") + TARGETS
    text += "rules: [{name: r, who: ['issuer:corp'], targets: [db], deny: {}, when: {team: x}}]\n"
    assert [said.split(":")[1] for said in refused(tmp_path, text)] == [" issuers[0].kind"]


@pytest.mark.parametrize("bound", ["500", "estimate", "estimate*2"])
def test_a_bound_on_what_is_approved(tmp_path: Path, bound: str) -> None:
    block = f"{{actions: [update], approvers: ['*'], max_affected: {bound}}}"
    (rule,) = loaded(tmp_path, with_rule(f"{WHO}, targets: [db], review: {block}")).rules
    assert rule.review is not None
    assert rule.review.max_affected is not None


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("review: {actions: [create], approvers: ['*'], max_affected: 5}", "bounds nothing"),
        ("review: {actions: [update], approvers: ['*'], max_affected: many}", "a number of rows"),
        ("allow: {actions: [update], max_affected: 5}", "unknown key `max_affected`"),
    ],
)
def test_a_bound_that_bounds_nothing(tmp_path: Path, block: str, said: str) -> None:
    assert said in only(tmp_path, with_rule(f"{WHO}, targets: [db], {block}"))
