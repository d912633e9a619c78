"""`ssh broker@broker VERB...`: words in, text or JSON out. Parsing and formatting, nothing else."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from typing import TYPE_CHECKING, NoReturn

from broker.console.telling import visible
from broker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERBS = (
    *("whoami", "targets", "check", "pending", "show", "dry-run", "approve", "deny"),
    *("sessions", "play", "verify", "lock", "unlock", "locks", "kill"),
)
CHECK = re.compile(r"\s*check\s+(?P<json>--json\s+)?(?P<target>[^\s-]\S*)(?P<rest>.*)", re.DOTALL)
WIDTH = 56  # characters of a statement in a list


class Words(argparse.ArgumentParser):
    """argparse that raises a sentence instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for anything it does not understand."""
        if found := re.match(r"argument verb: invalid choice: (.+?) \(choose", message):
            message = f"there is no verb {found[1]}"
        raise UsageError(f"{message}. {usage()}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Called by argparse after help."""
        raise UsageError(message or usage())


def usage() -> str:
    """One sentence that names every verb."""
    return f"The verbs are: {', '.join(VERBS)}; each takes --json"


def parse(command: str) -> argparse.Namespace:
    """The words of one command. Raises UsageError with a sentence.

    ssh joins its arguments with blanks and drops one layer of quotes, so a statement comes as the
    rest of the line, and an apostrophe in a reason is an apostrophe.
    """
    if not command.strip():
        raise UsageError(usage())
    checked = CHECK.match(command)
    if checked is not None:
        statement, json_after = _statement(checked["rest"])
        words = _words().parse_args(["check", checked["target"]])
        words.statement = statement
        words.json = json_after or checked["json"] is not None
        return words
    try:
        split = shlex.split(command)
    except ValueError:
        split = command.split()
    words = _words().parse_args(split)
    if hasattr(words, "reason"):
        words.reason = " ".join(words.reason)
    return words


def _statement(rest: str) -> tuple[str | None, bool]:
    """A statement as it came, without quotes around all of it; and was --json beside it?

    Before a statement on the same line it is no comment: then there would be no statement.
    """
    text = rest.strip()
    before = re.match(r"--json[ \t]+", text)
    text = text[before.end() :] if before else text
    after = text == "--json" or text.endswith(" --json")
    text = text.removesuffix("--json").rstrip() if after else text
    as_json = after or before is not None
    if text[:1] in {"'", '"'}:
        try:
            words = shlex.split(text)
        except ValueError:
            words = []
        text = words[0] if len(words) == 1 else text
    return text or None, as_json


def _words() -> Words:
    parser = Words(prog="broker@", add_help=False)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=Words)
    made = {name: verbs.add_parser(name, add_help=False) for name in VERBS}
    for one in made.values():
        one.add_argument("--json", action="store_true")
    made["check"].add_argument("target")
    for name in ("show", "dry-run"):
        made[name].add_argument("id")
    for name in ("approve", "deny"):
        made[name].add_argument("id")
        made[name].add_argument("--reason", default=[], required=name == "deny", nargs="+")
        made[name].add_argument("--digest")
    for name in ("lock", "unlock", "kill"):
        made[name].add_argument("what")
        made[name].add_argument("--reason", default=[], required=name == "lock", nargs="+")
    made["play"].add_argument("session")
    made["play"].add_argument("--speed", type=float, default=1.0)
    made["play"].add_argument("--idle", type=float, default=2.0)
    return parser


def as_json(value: object) -> str:
    """One JSON value on one line."""
    return json.dumps(value, ensure_ascii=True, default=str)


def whoami(told: Mapping[str, object]) -> str:
    """Who, until when, and what they may do, in words."""
    lines = [
        f"you are    {told['identity']}",
        f"groups     {_listed(told['groups']) or 'none'}",
        f"until      {told['expires'] or 'unknown'}{_left(told.get('expires_in_s'))}",
    ]
    if told.get("acting_for"):
        lines.insert(1, f"acting for {told['acting_for']}")
    if told["approves"]:
        lines.append(f"answer for {_listed(told['approves'])}  (ssh approvals@, or pending here)")
    return "\n".join([*lines, "", targets(told["targets"])])


def targets(found: object) -> str:
    """Each target with what may be done there."""
    lines: list[str] = []
    for target in _mappings(found):
        lines += [f"{target['name']} ({target['kind']})"]
        lines += [f"    {phrase}" for phrase in _strings(target["may"])]
    return "\n".join(lines) or "No target is yours to reach."


def check(told: Mapping[str, object]) -> str:
    """A verdict in words."""
    lines = [f"{told['verdict']} by {told['rule']}: {told['reason']}"]
    names = ("actions", "tables", "commands", "reads", "writes", "hosts", "approvers")
    lines += [f"{name:<10} {_listed(told[name])}" for name in names if told.get(name)]
    return "\n".join(lines)


def pending(cards: object) -> str:
    """The queue, a line a review."""
    lines = [
        f"{card['id']}  {card['identity']}  {card['target']}  {card['rule']}  "
        f"until {card['expires']}  {_short(str(card['statement']))}"
        for card in _mappings(cards)
    ]
    return "\n".join(lines) or "Nothing waits."


def show(cards: object) -> str:
    """Reviews, whole (of one, as a list: the contract's shape is that of `pending`)."""
    return "\n\n".join(_whole(card) for card in _mappings(cards))


def _whole(card: Mapping[str, object]) -> str:
    """One review: the exact statement last, each of its lines marked."""
    fields = ("id", "state", "identity", "acting_for", "target", "rule", "reason", "why", "asked")
    lines = [f"{name:<11}{card[name]}" for name in (*fields, "expires") if card.get(name)]
    claims = card.get("claims")
    if isinstance(claims, dict) and claims:
        told = ", ".join(f"{name}={claims[name]}" for name in sorted(claims))
        lines.append(f"{'claims':<11}{told}")
    if card.get("touches"):
        lines.append(f"{'touches':<11}{_listed(card['touches'])}")
    lines.append(f"{'approvals':<11}{len(_mappings(card['approvals']))} of {card['quorum']}")
    lines += [
        f"{'':<11}{a['by']} at {a['at']} {a.get('reason') or ''}".rstrip()
        for a in _mappings(card["approvals"])
    ]
    lines += [f"{'rows':<11}{rows(card)}"] if card.get("impact") else []
    lines += _transaction(card)
    lines.append(f"{'digest':<11}{card['digest']}")
    lines += [f"  | {line}" for line in str(card["statement"]).split("\n")]
    values = card.get("values")
    for number, value in enumerate(values if isinstance(values, list) else [], start=1):
        shown = "NULL" if value is None else f"'{value}'"
        lines.append(f"  ${number} = {shown}")
    return "\n".join(lines)


def rows(card: Mapping[str, object]) -> str:
    """What is known of the rows that it would touch: exact, estimated, and at most."""
    impact, trial = card.get("impact"), card.get("dry_run")
    told: list[str] = []
    if isinstance(trial, dict):
        made = trial["rows"] is not None
        told.append(tried(card) if made else f"no dry run: {trial['why_not']}")
    if isinstance(impact, dict):
        known = impact["rows"] is not None
        told.append(f"about {impact['rows']} by the planner" if known else "no estimate")
        told[-1] += f": {impact['unknown']}" if impact["unknown"] else ""
        if impact["max_affected"] is not None:
            told.append(f"undone beyond {impact['max_affected']}")
        told += _strings(impact["sizes"])
    return "; ".join(told)


def _transaction(card: Mapping[str, object]) -> list[str]:
    impact = card.get("impact")
    before = impact.get("before") if isinstance(impact, dict) else None
    if before is None:
        return []
    lines = _strings(before) or ["nothing ran in it yet"]
    return [f"{'in tx' if n == 0 else '':<11}{line}" for n, line in enumerate(lines)]


def tried(card: Mapping[str, object]) -> str:
    """What a dry run found."""
    trial = card.get("dry_run")
    if not isinstance(trial, dict):
        return "no dry run was made"
    if trial["rows"] is None:
        return f"no dry run was made: {trial['why_not']}"
    return f"exactly {trial['rows']} in a dry run by {trial['by']} at {trial['at']}, rolled back"


def answered(card: Mapping[str, object]) -> str:
    """What an answer came to."""
    if card["state"] == "pending":
        given = len(_mappings(card["approvals"]))
        return f"approved; {given} of {card['quorum']} approvals so far"
    return f"review {card['id']} is {card['state']}"


def sessions(records: object) -> str:
    """A line a session, newest first; with its node when there are several."""
    found = _mappings(records)
    several = len({r.get("node") for r in found}) > 1
    lines = [
        f"{r['id']}  {r['started']}  {r['status']:<11}  {r['identity']}  {r['target']}"
        + (f"  {r['node']}" if several else "")
        for r in found
    ]
    return "\n".join(lines) or "No session is yours to see."


def locks(found: object) -> str:
    """A line a lock, the oldest first."""
    lines = [
        f"{lock['subject']}:{lock['name']}  {lock['at']}  by {lock['by']}  {lock['reason']}"
        for lock in _mappings(found)
    ]
    return "\n".join(lines) or "Nothing is locked."


def barred(told: Mapping[str, object]) -> str:
    """What a lock, an unlock or a kill came to."""
    if told["done"] == "unlock":
        return f"{told['subject']} {told['name']} is not locked any longer"
    done = "is being ended" if told["subject"] == "session" else "is locked"
    return f"{told['subject']} {told['name']} {done}; {told['ended']} ended at once on this node"


def verify(report: Mapping[str, object]) -> str:
    """The report in words; problems one a line."""
    counted = f"{report['entries']} entries, {report['recordings']} recordings"
    problems = _strings(report["problems"])
    if report["ok"]:
        return "\n".join([f"verified: {counted}; nothing altered, removed or reordered"])
    return "\n".join([f"NOT verified: {counted}", *(f"  - {problem}" for problem in problems)])


def safe(text: str) -> str:
    """What a verb prints, with nothing in it that a terminal would obey."""
    return visible(text)


def _left(seconds: object) -> str:
    """How long a certificate still lasts, in words."""
    if not isinstance(seconds, int):
        return ""
    if seconds < 120:
        return f" ({seconds} s left)"
    return f" ({seconds // 60} min left)" if seconds < 7200 else f" ({seconds // 3600} h left)"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _listed(value: object) -> str:
    return ", ".join(_strings(value))


def _strings(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else []


def _mappings(value: object) -> list[Mapping[str, object]]:
    items: Iterable[object] = value if isinstance(value, (list, tuple)) else ()
    return [one for one in items if isinstance(one, dict)]
