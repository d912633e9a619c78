"""The `rules:` section as Rule values; a rule, or a part of one, that can never match is an error.

A deny rule that never matches is worse than none: its writer believes in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.config.source import nearest
from broker.identity.claims import matches
from broker.policy import patterns
from broker.policy.rules import ACTIONS, Block, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from broker.config.shapes import Fields
    from broker.config.source import Problems
    from broker.identity.issuers import Issuer

SIDES = ("allow", "review", "deny")
SQL_KEYS = ("tables", "functions", "max_rows", "max_affected", "unbounded")
CHANGING = ("insert", "update", "delete", "merge", "copy_from", "truncate")
SHELL_KEYS = ("commands", "paths", "terminal")
SHELL_ACTIONS = ("exec", "read", "write")  # what a command line does; the last two to a path
BOUNDED = ("update", "delete")  # the actions that can lack a WHERE
EVERYTHING = "*"
GROUPS = ("group:", "kind:", "issuer:")
TEXT = "text"  # the kind of a command target whose lines are only text to us


@dataclass(frozen=True, slots=True)
class Known:
    """What the rest of the file has: kinds of the targets by name, and the issuers.

    The kind is "" for a target that has a problem of its own; an issuer with one is not here,
    and `complete` is then false: what it might have defined is not called unknown.
    """

    kinds: Mapping[str, str]
    issuers: Sequence[Issuer]
    complete: bool
    problems: Problems

    def targets(self, wanted: Sequence[str], line: int, where: str) -> tuple[str, ...]:
        """The targets meant, patterns replaced by the names that they match."""
        found: dict[str, None] = {}
        for pattern in wanted:
            names = [name for name in self.kinds if matches(pattern, name)]
            if not names:
                message = f"{where}: there is no target `{pattern}`"
                self.problems.add(line, message, nearest(pattern, self.kinds))
            found |= dict.fromkeys([EVERYTHING] if pattern == EVERYTHING else names)
        return tuple(found)

    def kinds_of(self, targets: Sequence[str]) -> set[str]:
        """The kinds behind a list of targets; holds "" when not all of them are known."""
        everything = EVERYTHING in targets
        return {kind for name, kind in self.kinds.items() if everything or name in targets}

    def check_who(self, who: Sequence[str], line: int, where: str) -> None:
        """An issuer that is named must be there; other names are the issuers' to give."""
        issuers = [issuer.name for issuer in self.issuers]
        for entry in who:
            name = entry.removeprefix("issuer:")
            if entry.startswith(("human:", "agent:")):
                name = entry.rpartition("@")[2]
            if name != entry and name not in issuers and self.complete:
                self.problems.add(
                    line, f"{where}: `{entry}` names no issuer here", nearest(name, issuers)
                )


def make_rules(entries: Sequence[Fields], known: Known) -> tuple[Rule, ...]:
    """Every whole entry; no two with one name."""
    made: dict[str, Rule] = {}
    for entry in entries:
        if not entry.whole:
            continue
        rule = _rule(entry, known)
        if rule.name in made:
            line = entry.line_of("name")
            known.problems.add(line, f"{entry.path}: the name {rule.name} is taken")
        made.setdefault(rule.name, rule)
    return tuple(made.values())


def _rule(entry: Fields, known: Known) -> Rule:
    where = f"{entry.path} ({entry['name']})"
    known.check_who(entry["who"], entry.line_of("who"), f"{where}.who")
    targets = known.targets(entry["targets"], entry.line_of("targets"), f"{where}.targets")
    if not any(side in entry for side in SIDES):
        known.problems.add(entry.line, f"{where}: says nothing: add allow, review or deny")
    _check_when(entry, known, where)
    kinds = known.kinds_of(targets)
    blocks = {
        side: _block(side, entry[side], kinds, known, f"{where}.{side}")
        for side in SIDES
        if side in entry
    }
    return Rule(
        name=entry["name"],
        who=entry["who"],
        targets=targets,
        allow=blocks.get("allow"),
        review=blocks.get("review"),
        deny=blocks.get("deny"),
        reason=entry.get("reason", ""),
        when=dict(entry.get("when", {})),
        line=entry.line,
    )


def _check_when(entry: Fields, known: Known, where: str) -> None:
    kept = {claim for issuer in known.issuers for claim in issuer.keep}
    for claim in entry.get("when", {}):
        if claim not in kept and known.complete:
            message = f"{where}.when: no issuer keeps the claim `{claim}`; add it to its `keep`"
            known.problems.add(entry["when"].line_of(claim), message, nearest(claim, kept))


def _block(side: str, entry: Fields, kinds: set[str], known: Known, where: str) -> Block:
    _check_actions(entry, known.problems, where)
    _check_company(side, entry, known.problems, where)
    _check_languages(entry, kinds, known.problems, where)
    _check_patterns(entry, known.problems, where)
    if "approvers" in entry:
        _check_approvers(entry, known, where)
    return Block(**entry)


def _check_actions(entry: Fields, problems: Problems, where: str) -> None:
    line = entry.line_of("actions")
    for action in entry.get("actions", ()):
        if action not in ACTIONS and action not in SHELL_ACTIONS:
            problems.add(line, f"{where}: unknown action `{action}`", nearest(action, ACTIONS))
        elif entry.get("unbounded") and action not in BOUNDED:
            problems.add(
                line, f"{where}: `{action}` is never unbounded; only update and delete are"
            )


def _check_company(side: str, entry: Fields, problems: Problems, where: str) -> None:
    """Restrictions that have no effect beside, or without, another one."""
    others = entry.keys() - {"terminal", "approvers", "quorum", "expires"}
    if entry.get("terminal") and others:
        message = f"{where}: a block about raw terminals says nothing about {min(others)}"
        problems.add(entry.line_of("terminal"), f"{message}; make two rules")
    if "max_affected" in entry and not any(a in CHANGING for a in entry.get("actions", CHANGING)):
        message = f"{where}: max_affected bounds nothing: none of its actions changes rows"
        problems.add(entry.line_of("max_affected"), message)
    shell = [action for action in entry.get("actions", ()) if action in SHELL_ACTIONS]
    if shell and "commands" in entry:
        message = f"{where}: `{shell[0]}` beside commands would match neither; leave actions out"
        problems.add(entry.line_of("actions"), message)
    elif shell and side == "allow" and ("paths" not in entry or "exec" in shell):
        need = "commands" if "exec" in shell else "paths"
        message = f"{where}: `{shell[0]}` allows nothing by itself; list {need}"
        problems.add(entry.line_of("actions"), message)


def _check_languages(entry: Fields, kinds: set[str], problems: Problems, where: str) -> None:
    """SQL restrictions need a database, shell ones a command line, and one part is never both."""
    actions = entry.get("actions", ())
    sql = [key for key in SQL_KEYS if key in entry]
    shell = [key for key in SHELL_KEYS if key in entry]
    sql += ["actions"] if any(action in ACTIONS for action in actions) else []
    shell += ["actions"] if any(action in SHELL_ACTIONS for action in actions) else []
    if sql and shell:
        message = f"{where}: {sql[0]} is about databases and {shell[0]} about command lines"
        problems.add(entry.line, f"{message}: nothing is both; make two rules")
    elif "" in kinds or not kinds:
        return  # a target's own problem comes first
    elif sql and "postgres" not in kinds:
        message = f"{where}: {sql[0]} can never match: none of its targets is a database"
        problems.add(entry.line_of(sql[0]), message)
    elif shell and kinds == {"postgres"}:
        message = f"{where}: {shell[0]} can never match: all of its targets are databases"
        problems.add(entry.line_of(shell[0]), message)
    elif "paths" in shell and kinds <= {"postgres", TEXT}:
        message = f"{where}: paths can never match: its targets are judged by patterns on text"
        problems.add(entry.line_of("paths"), message)


def _check_patterns(entry: Fields, problems: Problems, where: str) -> None:
    for table in entry.get("tables", ()):
        whole = table if "." in table else f"public.{table}"
        if table != EVERYTHING and not patterns.table(table, whole.replace("*", "x")):
            message = f"{where}: `{table}` can never match: tables are schema.table"
            problems.add(entry.line_of("tables"), message)
    for path in entry.get("paths", ()):
        if not path.startswith(("/", "*", "~")):
            message = f"{where}: `{path}` can never match: paths are judged from the root"
            problems.add(entry.line_of("paths"), message, f"write `/{path}` or `**/{path}`")
    for key in ("commands", "functions"):
        if not all(word.strip() for word in entry.get(key, ())):
            problems.add(entry.line_of(key), f"{where}: a pattern in {key} is blank")


def _check_approvers(entry: Fields, known: Known, where: str) -> None:
    line, approvers = entry.line_of("approvers"), entry["approvers"]
    known.check_who(approvers, line, f"{where}.approvers")
    single = not any(one == EVERYTHING or one.startswith(GROUPS) for one in approvers)
    if single and len(set(approvers)) < entry.get("quorum", 1):
        known.problems.add(line, f"{where}: fewer approvers than its quorum: nobody could approve")
