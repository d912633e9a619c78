"""Answers on the control channel as typed values: checked once, where they come in.

What the contract promises must be there; the rest has a plain default. Unknown keys are passed
over, so that a newer broker can tell an older screen more. Raises ProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from broker.errors import ProtocolError
from recordings.asciicast import Event


@dataclass(frozen=True, slots=True)
class Hello:
    """Whom the channel is bound to, and the broker's clock."""

    identity: str
    kind: str
    groups: tuple[str, ...]
    now: datetime
    node: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes."""

    by: str
    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class Impact:
    """What it would touch; `before` is what ran in its transaction, None outside of one."""

    rows: int | None
    unknown: str
    sizes: tuple[str, ...]
    before: tuple[str, ...] | None
    max_affected: int | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """The exact count of a dry run, or why there is none."""

    by: str
    at: str
    rows: int | None
    why_not: str


@dataclass(frozen=True, slots=True)
class Review:
    """A statement that waits for people, or waited, as one approver may see it."""

    id: str
    state: str
    session: str
    identity: str
    acting_for: str | None
    target: str
    rule: str
    reason: str
    statement: str
    digest: str
    asked: datetime
    expires: datetime
    approvals: tuple[Approval, ...]
    quorum: int
    formatted: str | None = None
    language: str = "text"
    why: str = ""
    source: str = ""
    cwd: str | None = None
    tables: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    touches: tuple[str, ...] = ()
    values: tuple[str | None, ...] = ()
    approvers: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    can_answer: bool = False
    why_not: str = ""
    closed_by: str | None = None
    closed_reason: str | None = None
    closed_at: str | None = None
    claims: tuple[tuple[str, str], ...] = ()
    types: tuple[str | None, ...] = ()
    impact: Impact | None = None
    dry_run: DryRun | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The broker's clock, told unasked; also the sign that the link is alive."""

    now: datetime


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session in a list. `ended` is None while it runs."""

    id: str
    identity: str
    acting_for: str | None
    target: str
    kind: str
    started: datetime
    ended: datetime | None
    status: str
    recording: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a recording; `next` is where the next one begins, None at the end."""

    events: tuple[Event, ...]
    next: int | None
    columns: int
    rows: int


def hello(result: object) -> Hello:
    """The answer to `hello`."""
    keys = _Keys(result)
    return Hello(
        identity=keys.text("identity"),
        kind=keys.text("kind"),
        groups=keys.texts("groups"),
        now=keys.moment("now"),
        node=keys.text("node", ""),
    )


def review(result: object) -> Review:
    """The answer to `show`, `approve` and `deny`."""
    keys = _Keys(result)
    return Review(
        id=keys.text("id"),
        state=keys.text("state"),
        session=keys.text("session"),
        identity=keys.text("identity"),
        acting_for=keys.maybe("acting_for"),
        target=keys.text("target"),
        rule=keys.text("rule"),
        reason=keys.text("reason"),
        statement=keys.text("statement"),
        digest=keys.text("digest"),
        asked=keys.moment("asked"),
        expires=keys.moment("expires"),
        approvals=tuple(_approval(one) for one in keys.items("approvals")),
        quorum=keys.count("quorum"),
        formatted=keys.maybe("formatted"),
        language=keys.maybe("language") or _language(keys),
        why=keys.maybe("why") or "",
        source=keys.maybe("source") or "",
        cwd=keys.maybe("cwd"),
        tables=keys.texts("tables"),
        actions=keys.texts("actions"),
        commands=keys.texts("commands"),
        touches=keys.texts("touches"),
        values=keys.values("values"),
        approvers=keys.texts("approvers"),
        before=keys.texts("before"),
        can_answer=keys.flag("can_answer"),
        why_not=keys.maybe("why_not") or "",
        claims=keys.pairs("claims"),
        closed_by=keys.maybe("closed_by"),
        closed_reason=keys.maybe("closed_reason"),
        closed_at=keys.maybe("closed"),
        types=keys.values("types"),
        impact=_impact(keys.found.get("impact")),
        dry_run=_dry_run(keys.found.get("dry_run")),
    )


def reviews(result: object) -> tuple[Review, ...]:
    """The answer to `pending`."""
    return tuple(review(one) for one in _list(result))


def sessions(result: object) -> tuple[SessionLine, ...]:
    """The answer to `sessions`."""
    return tuple(_session(one) for one in _list(result))


def page(result: object) -> Page:
    """The answer to `play`. The header, and with it a size, comes with the first page."""
    keys = _Keys(result)
    header = keys.found.get("header")
    size = _Keys(header if header is not None else {})
    next_ = keys.found.get("next")
    return Page(
        events=tuple(_event(one) for one in keys.items("events")),
        next=keys.count("next") if next_ is not None else None,
        columns=size.count("width", 80),
        rows=size.count("height", 24),
    )


def _language(keys: _Keys) -> str:
    if keys.texts("commands"):
        return "shell"
    return "sql" if keys.texts("actions") else "text"


def _impact(value: object) -> Impact | None:
    if value is None:
        return None
    keys = _Keys(value)
    return Impact(
        rows=keys.maybe_count("rows"),
        unknown=keys.maybe("unknown") or "",
        sizes=keys.texts("sizes"),
        before=None if keys.found.get("before") is None else keys.texts("before"),
        max_affected=keys.maybe_count("max_affected"),
    )


def _dry_run(value: object) -> DryRun | None:
    if value is None:
        return None
    keys = _Keys(value)
    return DryRun(
        by=keys.text("by"),
        at=keys.text("at"),
        rows=keys.maybe_count("rows"),
        why_not=keys.maybe("why_not") or "",
    )


def _approval(value: object) -> Approval:
    keys = _Keys(value)
    return Approval(keys.text("by"), keys.text("at"), keys.maybe("reason") or "")


def _session(value: object) -> SessionLine:
    keys = _Keys(value)
    return SessionLine(
        id=keys.text("id"),
        identity=keys.text("identity"),
        acting_for=keys.maybe("acting_for"),
        target=keys.text("target"),
        kind=keys.text("kind"),
        started=keys.moment("started"),
        ended=keys.moment("ended") if keys.found.get("ended") is not None else None,
        status=keys.text("status"),
        recording=keys.maybe("recording"),
    )


def _event(value: object) -> Event:
    match value:
        case [bool(), *_]:
            pass
        case [int() | float() as time, str() as code, str() as data] if 0 <= time < 10**9:
            return Event(float(time), code, data)
    msg = "not an event of a recording"
    raise ProtocolError(msg)


def moment(text: str) -> datetime:
    """RFC 3339 with a time zone, as UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        msg = "not a time"
        raise ProtocolError(msg) from error
    if found.tzinfo is None:
        msg = "a time without its zone"
        raise ProtocolError(msg)
    return found.astimezone(UTC)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        msg = "not a list"
        raise ProtocolError(msg)
    return value


class _Keys:
    """One JSON object, asked key by key for a value of a type."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            msg = "not an object"
            raise ProtocolError(msg)
        self.found = cast("Mapping[str, object]", value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.found.get(key, default)
        return value if isinstance(value, str) else self._wrong(key)

    def maybe(self, key: str) -> str | None:
        value = self.found.get(key)
        return value if value is None or isinstance(value, str) else self._wrong(key)

    def count(self, key: str, default: int | None = None) -> int:
        value = self.found.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._wrong(key)
        return cast("int", value)

    def maybe_count(self, key: str) -> int | None:
        return None if self.found.get(key) is None else self.count(key)

    def flag(self, key: str) -> bool:
        value = self.found.get(key, False)
        if not isinstance(value, bool):
            self._wrong(key)
        return cast("bool", value)

    def moment(self, key: str) -> datetime:
        return moment(self.text(key))

    def items(self, key: str) -> list[object]:
        return _list(self.found.get(key))

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.values(key)
        return tuple(one if one is not None else self._wrong(key) for one in found)

    def values(self, key: str) -> tuple[str | None, ...]:
        found = _list(self.found.get(key) or [])
        if not all(one is None or isinstance(one, str) for one in found):
            self._wrong(key)
        return tuple(cast("list[str | None]", found))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        found = _Keys(self.found.get(key) or {})
        return tuple((name, found.text(name)) for name in sorted(found.found))

    def _wrong(self, key: str) -> str:
        msg = f"an answer whose {key!r} is missing or of another kind"
        raise ProtocolError(msg)
