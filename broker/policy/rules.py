"""The rules as values: what a rule file says, after it was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.model import AffectedBound

ACTIONS = (
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "truncate",
    "copy_from",
    "copy_to",
    "create",
    "alter",
    "drop",
    "grant",
    "revoke",
    "call",
    "do",
    "execute",
    "explain",
    "set",
    "show",
    "transaction",
    "listen",
    "notify",
    "lock",
    "vacuum",
    "analyze",
    "refresh",
    "security",
    "comment",
    "cursor",
    "other",
)


@dataclass(frozen=True, slots=True)
class Block:
    """What one `allow`, `review` or `deny` is about. None is "left out": it does not restrict.

    A list means any of. Tables are patterns over ``schema.table``; functions over names; commands
    are word patterns (``*`` a word or part of one, ``**`` the rest); paths are path patterns.
    `approvers`, `quorum`, `expires` and `max_affected` belong to `review` alone.
    """

    actions: tuple[str, ...] | None = None
    tables: tuple[str, ...] | None = None
    functions: tuple[str, ...] | None = None
    commands: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    max_rows: int | None = None
    unbounded: bool | None = None
    terminal: bool | None = None
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    expires: timedelta = timedelta(minutes=15)
    max_affected: AffectedBound | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One named rule: whom it concerns, where, and what it says.

    `when` maps a kept claim's name to the patterns of which its value must match one.
    """

    name: str
    who: tuple[str, ...]
    targets: tuple[str, ...]
    allow: Block | None = None
    review: Block | None = None
    deny: Block | None = None
    reason: str = ""
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    line: int = 0
