"""The nouns that every stage shares: who, through which session, what, and the answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(Enum):
    """What stands behind an identity."""

    HUMAN = "human"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who, proven: read from a certificate that our CA signed, never looked up.

    `claims` holds only what the issuer's `keep:` lists. `serial` and `fingerprint` are the
    certificate's serial and the SHA-256 fingerprint (``SHA256:...``) of the key that it is for.
    """

    name: str
    kind: Kind
    issuer: str
    subject: str
    groups: tuple[str, ...] = ()
    acting_for: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    serial: int = 0
    fingerprint: str = ""
    expires: datetime | None = None

    def __str__(self) -> str:
        """The key id of the certificate: ``kind:name@issuer``."""
        return f"{self.kind.value}:{self.name}@{self.issuer}"

    @property
    def principals(self) -> tuple[str, ...]:
        """The name, then one ``group:...`` for each group."""
        return (self.name, *(f"group:{group}" for group in self.groups))

    def is_one_of(self, who: tuple[str, ...]) -> bool:
        """Does a rule's `who` (or `approvers`) list name this identity?

        An entry is ``*``, a name, ``group:G``, ``kind:agent|human``, ``issuer:I``, or the full
        ``kind:name@issuer``.
        """
        mine = {"*", str(self), f"kind:{self.kind.value}", f"issuer:{self.issuer}"}
        return not mine.union(self.principals).isdisjoint(who)


class Way(Enum):
    """How a session came in."""

    INTERACTIVE = "interactive"
    COMMAND = "command"
    SCRIPT = "script"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Session:
    """One way through to one target. State is per channel: two channels never share a session."""

    id: str
    identity: Identity
    target: str
    target_kind: str
    way: Way
    started: datetime
    config_hash: str
    reason: str = ""
    source: str = ""
    node: str = ""


class Language(Enum):
    """Which grammar judges a statement."""

    SQL = "sql"
    SHELL = "shell"
    TEXT = "text"
    TERMINAL = "terminal"  # no text at all: a raw terminal, whose lines are not judged


@dataclass(frozen=True, slots=True)
class Statement:
    """The unit that is judged: one SQL message or one command line.

    `text` is exactly what will be forwarded (UTF-8); `values` are the bound values of a prepared
    statement in order (None is NULL), part of what a review shows and binds. `cwd` is the
    directory in which a command line would run: relative paths are judged from there.
    """

    language: Language
    text: str
    values: tuple[bytes | None, ...] = ()
    cwd: str | None = None

    @property
    def digest(self) -> str:
        """``sha256:`` and the hex SHA-256 of the text, then of each value with its length."""
        sha = hashlib.sha256(self.text.encode("utf-8", "surrogateescape"))
        for value in self.values:
            sha.update(b"\0-1" if value is None else b"\0%d:" % len(value) + value)
        return "sha256:" + sha.hexdigest()


CONSTRUCT = "construct: "  # begins the object of a part that no grammar of ours judges


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a statement does, which a rule must cover by itself.

    Exactly one of these shapes:
    - an action on a table: `action` and `table` (``schema.table``), e.g. delete public.orders;
    - an action alone: `action`, e.g. ``select`` of ``SELECT 1``; `object` names what else it is
      about when that is not a table (``schema app``, ``role bob``, ``file /tmp/x``);
    - a function: `action` ``call-function`` is never used; `function` names it (``pg_read_file``),
      with the `action` of the statement that calls it;
    - a simple command: `command` holds its words, quotes removed;
    - a file touched by a redirection or known argument: `path` and `action` ``read``/``write``.

    `unbounded`: an UPDATE or DELETE without WHERE, or with one that is always true.
    `explicit`: only a rule that *names* this (its action, function, path or command) covers it;
    a restriction left out does not. Used for what is dangerous or not understood.
    `implied`: harmless (SHOW, a catalogue read, a safe function): allowed to whoever may do
    anything on the target, unless a rule denies it.
    `along`: comes with another part (a partition with its table) and needs no rule of its own;
    one that denies it, or asks for a review, counts.
    """

    action: str | None = None
    table: str | None = None
    object: str | None = None
    function: str | None = None
    command: tuple[str, ...] | None = None
    path: str | None = None
    unbounded: bool = False
    explicit: bool = False
    implied: bool = False
    along: bool = False
    why: str = ""

    def __str__(self) -> str:
        """The part as a denial names it."""
        if self.command is not None:
            return " ".join(self.command)
        subject = self.table or self.object or self.path or ""
        if self.function is not None:
            subject = f"function {self.function}"
        return f"{self.action or ''} {subject}".strip()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a statement does, taken apart by its grammar.

    `touched` is what a command line reads, writes and reaches as people would say it: pairs of
    ``read``, ``write`` or ``host`` and what. It is shown and kept; rules are judged by the parts.
    """

    parts: tuple[Part, ...]
    fingerprint: str = ""
    touched: tuple[tuple[str, str], ...] = ()

    @property
    def actions(self) -> tuple[str, ...]:
        """Every action, once, in the order found."""
        return tuple(dict.fromkeys(p.action for p in self.parts if p.action))

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table read or written, once, in the order found."""
        return tuple(dict.fromkeys(p.table for p in self.parts if p.table))

    @property
    def commands(self) -> tuple[str, ...]:
        """Every simple command, as words joined by blanks, in the order found."""
        return tuple(dict.fromkeys(" ".join(p.command) for p in self.parts if p.command))

    @property
    def touches(self) -> tuple[str, ...]:
        """What is touched, as a reader wants it: ``read /etc/hosts``."""
        return tuple(f"{how} {what}" for how, what in self.touched)

    @property
    def resources(self) -> dict[str, list[str]]:
        """What is touched: lists under ``reads``, ``writes`` and ``hosts``, where there are any."""
        found: dict[str, list[str]] = {}
        for how, what in self.touched:
            found.setdefault(f"{how}s", []).append(what)
        return found


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result; `table_oid` and `attnum` are 0 for an expression."""

    name: str
    table_oid: int
    attnum: int
    type_oid: int
    binary: bool


class Answer(Enum):
    """The three answers, mildest first: the strictest over the parts is the statement's."""

    ALLOW = "allow"
    REVIEW = "review"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class AffectedBound:
    """How many rows an approved write may change: a number, the estimate times a factor, or both.

    `tenths` is the factor in tenths; a small constant is added, so that an estimate of none
    leaves room for one.
    """

    most: int | None = None
    tenths: int | None = None

    def __str__(self) -> str:
        """As people read it: ``500``, ``estimate x1.1``, or both."""
        times = None if self.tenths is None else f"estimate x{self.tenths / 10:g}"
        return " and ".join(str(each) for each in (self.most, times) if each is not None)

    def rows(self, estimate: int | None) -> int | None:
        """The bound as a number; None while it depends on an estimate that there is not."""
        found = [] if self.most is None else [self.most]
        if self.tenths is not None:
            if estimate is None:
                return None
            found.append(-(-estimate * self.tenths // 10) + BOUND_ROOM)
        return min(found, default=None)


BOUND_ROOM = 10  # rows


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known of a bound value besides its bytes: its type (0: not said), its form."""

    type: int = 0
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Impact:
    """What an approver is told of a statement besides its text: what it would touch, and when.

    `estimate` is the target's own planner's, of rows; `unknown` says why there is none. `sizes`
    are the tables in words. `before` is what ran in its transaction, None when it is in none.
    `max_affected` is bound into the approval.
    """

    estimate: int | None = None
    unknown: str = ""
    sizes: tuple[str, ...] = ()
    before: tuple[str, ...] | None = None
    parameters: tuple[Parameter, ...] = ()
    max_affected: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, the rule that gave it, and why in words that the person will read."""

    answer: Answer
    rule: str
    reason: str
    facts: Facts = field(default_factory=lambda: Facts(()))
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    expires_in: timedelta = timedelta(minutes=15)
    max_rows: int | None = None
    review: str | None = None
    unparsable: bool = False
    expired: bool = False
    config: str = ""  # the hash of the configuration that the judge used
    max_affected: AffectedBound | None = None  # as the rules say
    impact: Impact | None = None  # of a statement under review
