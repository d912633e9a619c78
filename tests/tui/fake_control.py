"""A broker in memory for the screens: it remembers what it was asked, and answers at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from broker.control.client import (
    Approval,
    Changed,
    Clock,
    DryRun,
    Hello,
    Impact,
    LinkLost,
    Page,
    Refused,
    Review,
    SessionLine,
)
from recordings.asciicast import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.control.client import ControlError, Push

IMPACT = Impact(
    rows=3,
    unknown="",
    sizes=("public.refunds: about 1,204 rows, 96 kB",),
    before=None,
    max_affected=14,
)

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
BOB = "human:bob@example.com@corp"
ALICE = "human:alice@example.com@corp"
AGENT = "agent:acme/shop@github"

DELETE = "DELETE FROM refunds WHERE order_id = 84021 AND status = 'dup';"


def review(id_: str = "7f3a", **changes: object) -> Review:
    """A DELETE of alice's that waits for bob."""
    usual = Review(
        id=id_,
        state="pending",
        session="s-41",
        identity=ALICE,
        acting_for=None,
        target="orders",
        rule="writes-need-two-eyes",
        reason="DELETE needs a second person",
        statement=DELETE,
        digest="sha256:" + f"{id_:0<8}" * 8,
        asked=NOON - timedelta(seconds=42),
        expires=NOON + timedelta(minutes=4, seconds=18),
        approvals=(),
        quorum=2,
        formatted="DELETE FROM refunds\nWHERE order_id = 84021\n  AND status = 'dup';",
        language="sql",
        why="remove duplicate refund, INC-2231",
        source="10.2.0.14",
        tables=("public.refunds",),
        actions=("delete",),
        approvers=("group:dba",),
        before=("SELECT: allowed", "BEGIN: allowed"),
        can_answer=True,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def command(id_: str = "8b2c", **changes: object) -> Review:
    """A shell command of an agent's that waits for bob."""
    usual = review(
        id_,
        identity=AGENT,
        acting_for="carol",
        target="web1",
        rule="ops",
        statement="sudo systemctl restart nginx",
        formatted=None,
        language="shell",
        why="",
        cwd="/srv",
        tables=(),
        actions=(),
        commands=("sudo systemctl restart nginx",),
        asked=NOON - timedelta(seconds=30),
        expires=NOON + timedelta(minutes=9, seconds=41),
        quorum=1,
        before=(),
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def session(id_: str = "s-41", **changes: object) -> SessionLine:
    """A session of alice's that ended."""
    usual = SessionLine(
        id=id_,
        identity=ALICE,
        acting_for=None,
        target="orders",
        kind="postgres",
        started=NOON - timedelta(hours=1),
        ended=NOON - timedelta(minutes=56, seconds=20),
        status="ended",
        recording=f"2026/01/01/{id_}.cast",
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


RECORDING = (
    Event(0.5, "o", "orders=> "),
    Event(1.0, "o", "SELECT 1;\r\n"),
    Event(1.2, "m", "allow reads: SELECT"),
    Event(1.3, "o", " ?column? \r\n----------\r\n        1\r\n(1 row)\r\n\r\n"),
    Event(9.0, "o", "orders=> DELETE FROM refunds;\r\n"),
    Event(9.1, "m", "review 7f3a approved by bob"),
    Event(9.5, "o", "\x1b[1;31mDELETE 3\x1b[0m\r\n"),
    Event(10.0, "x", "0"),
)


@dataclass
class FakeClock:
    """A steady clock that moves only when told."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


@dataclass
class FakeControl:
    """Implements Control. `waits` and `listed` may be changed; `tell` pushes."""

    waits: list[Review] = field(default_factory=list)
    listed: list[SessionLine] = field(default_factory=list)
    ended: dict[str, Review] = field(default_factory=dict)
    recording: list[Page] = field(
        default_factory=lambda: [Page(RECORDING, next=None, columns=80, rows=24)]
    )
    calls: list[tuple[str, ...]] = field(default_factory=list)
    failing: ControlError | None = None
    told: asyncio.Queue[Push | None] = field(default_factory=asyncio.Queue)
    lost: bool = False

    def tell(self, push: Push | None) -> None:
        """Push something; None closes the link."""
        self.lost = self.lost or push is None
        self.told.put_nowait(push)

    def change(self, *waits: Review) -> None:
        """Other reviews wait now, and the screens are told so."""
        self.waits = list(waits)
        self.tell(Changed("reviews"))

    async def hello(self) -> Hello:
        """See Control."""
        return Hello(BOB, "human", ("dba",), NOON, "node-1")

    async def pending(self) -> tuple[Review, ...]:
        """See Control."""
        self._may()
        return tuple(self.waits)

    async def show(self, review: str) -> Review:
        """See Control."""
        self._may()
        for known in (*self.waits, *self.ended.values()):
            if known.id == review:
                return known
        msg = f"there is no review {review!r} for you"
        raise Refused(msg, 64)

    async def approve(self, review: str, digest: str, reason: str = "") -> Review:
        """See Control."""
        return self._answer("approve", review, digest, reason)

    async def deny(self, review: str, digest: str, reason: str = "") -> Review:
        """See Control."""
        return self._answer("deny", review, digest, reason)

    async def dry_run(self, review: str) -> Review:
        """See Control; three rows."""
        self._may()
        self.calls.append(("dry-run", review))
        found = next(known for known in self.waits if known.id == review)
        tried = replace(found, dry_run=DryRun(BOB, "2026-01-01T12:00:00Z", 3, ""))
        self.waits[self.waits.index(found)] = tried
        return tried

    async def sessions(self) -> tuple[SessionLine, ...]:
        """See Control."""
        self._may()
        return tuple(self.listed)

    async def play(self, session: str, offset: int) -> Page:
        """See Control; offsets are page numbers here."""
        self._may()
        self.calls.append(("play", session, str(offset)))
        return self.recording[offset]

    async def pushes(self) -> AsyncIterator[Push]:
        """See Control."""
        yield Clock(NOON)
        while (push := await self.told.get()) is not None:
            yield push

    def _may(self) -> None:
        if self.lost:
            msg = "the connection to the broker is lost; connect again"
            raise LinkLost(msg)
        if self.failing is not None:
            raise self.failing

    def _answer(self, verb: str, id_: str, digest: str, reason: str) -> Review:
        self._may()
        self.calls.append((verb, id_, digest, reason))
        found = next(known for known in self.waits if known.id == id_)
        self.waits.remove(found)
        state = "approved" if verb == "approve" else "denied"
        yes = (Approval(BOB, "2026-01-01T12:00:00Z", reason),) if verb == "approve" else ()
        done = replace(
            found,
            state=state,
            approvals=yes,
            closed_by=BOB,
            closed_reason=reason or None,
            closed_at="2026-01-01T12:00:00Z",
        )
        self.ended[id_] = done
        return done
