"""The `masking:` and `examples:` sections as values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.config.model import Example
from broker.config.source import nearest
from broker.identity.claims import matches
from broker.mask.rules import Masking, Reveal, Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.config.ruleset import Known
    from broker.config.shapes import Fields

COLUMN = re.compile(r"([^:\s]+):[^.\s]+\.[^.\s]+\.[^.\s]+")


def make_masking(entry: Fields, known: Known) -> Masking:
    """What of it is good; a column of no database, or a reveal of nothing, is an error."""
    detect = tuple(dict.fromkeys(entry.get("detect", ())))
    columns = entry.get("columns", {})
    for pattern in columns:
        _check_column(pattern, columns.line_of(pattern), known)
    reveal = [_reveal(one, detect, known) for one in entry.get("reveal", ()) if one.whole]
    styles = {pattern: Style(style) for pattern, style in columns.items()}
    return Masking(detect, styles, tuple(reveal))


def make_examples(
    entries: Sequence[Fields], rules: Sequence[str], known: Known
) -> tuple[Example, ...]:
    """Every whole entry; its target and rule must be there."""
    return tuple(_example(entry, rules, known) for entry in entries if entry.whole)


def _check_column(pattern: str, line: int, known: Known) -> None:
    where = f"masking.columns: `{pattern}`"
    found = COLUMN.fullmatch(pattern)
    if found is None:
        known.problems.add(line, f"{where} is not TARGET:SCHEMA.TABLE.COLUMN")
        return
    kinds = {kind for name, kind in known.kinds.items() if matches(found.group(1), name)}
    if not kinds & {"postgres", ""}:
        hint = nearest(found.group(1), known.kinds)
        known.problems.add(line, f"{where} can never match: no database has this name", hint)


def _reveal(entry: Fields, detect: Sequence[str], known: Known) -> Reveal:
    known.check_who(entry["who"], entry.line_of("who"), f"{entry.path}.who")
    where = f"{entry.path}.targets"
    targets = known.targets(entry["targets"], entry.line_of("targets"), where)
    for name in entry["detect"]:
        if name not in detect:
            message = f"{entry.path}: `{name}` is not in masking.detect: there is nothing to reveal"
            known.problems.add(entry.line_of("detect"), message)
    return Reveal(entry["who"], targets, entry["detect"], entry.get("review", True))


def _example(entry: Fields, rules: Sequence[str], known: Known) -> Example:
    target, rule = entry["target"], entry.get("rule")
    known.check_who(entry["as"], entry.line_of("as"), f"{entry.path}.as")
    if target not in known.kinds:
        message = f"{entry.path}: there is no target `{target}`"
        known.problems.add(entry.line_of("target"), message, nearest(target, known.kinds))
    if rule is not None and rule not in rules and entry["verdict"] != "deny":
        # a denial may come from the broker itself: the grammar, or that no rule covers a part
        message = f"{entry.path}: there is no rule `{rule}`"
        known.problems.add(entry.line_of("rule"), message, nearest(rule, rules))
    return Example(entry["statement"], target, entry["as"], entry["verdict"], rule, entry.line)
