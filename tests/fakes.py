"""The gate's ports in memory: real enough to see the order of things, and to make each one fail."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure
from broker.model import Answer, Identity, Kind, Session, Verdict, Way

if TYPE_CHECKING:
    from broker.events import Event
    from broker.model import Statement
    from broker.ports import Notice

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

ALICE = Identity("alice@example.com", Kind.HUMAN, "corp", "u-alice", ("engineers",))
BOB = Identity("bob@example.com", Kind.HUMAN, "corp", "u-bob", ("dba",))


def session(identity: Identity = ALICE, target: str = "orders") -> Session:
    """A session of alice's on orders."""
    return Session("s1", identity, target, "postgres", Way.INTERACTIVE, NOON, "hash")


@dataclass
class Journal:
    """What happened, in order, over all ports; `failing` names the port that is broken."""

    happened: list[str] = field(default_factory=list)
    failing: str | None = None

    def note(self, port: str, what: str) -> None:
        """One thing happened; or it fails, as a full disk would make it."""
        if self.failing == port:
            msg = f"{port} failed"
            raise EvidenceFailure(msg)
        self.happened.append(f"{port}: {what}")


@dataclass
class FakeAudit:
    """An audit log that only remembers."""

    journal: Journal
    events: list[Event] = field(default_factory=list)

    def append(self, event: Event, *, durable: bool = False) -> None:
        """Remember the event."""
        self.journal.note("audit", event.type)
        self.events.append(event)


@dataclass
class FakeRecorder:
    """A recording in a list."""

    journal: Journal
    shown: bytes = b""
    markers: list[str] = field(default_factory=list)
    routine: list[bool] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)

    def output(self, data: bytes) -> None:
        """Remember what was shown."""
        self.journal.note("recorder", "output")
        self.shown += data

    def input(self, text: str) -> None:
        """Remember what was typed."""
        self.journal.note("recorder", "input")
        self.inputs.append(text)

    def hidden_input(self, count: int) -> None:
        """Remember that something was typed unseen."""
        self.journal.note("recorder", "hidden")
        self.unseen.append(count)

    def marker(self, label: str, *, routine: bool = False) -> None:
        """Remember a marker."""
        self.routine.append(routine)
        self.journal.note("recorder", "marker " + label.split(":", maxsplit=1)[0])
        self.markers.append(label)

    def resize(self, columns: int, rows: int) -> None:
        """Remember a size."""
        self.journal.note("recorder", f"resize {columns}x{rows}")


@dataclass
class FakeMask:
    """Hides the word ``secret``; holds nothing back."""

    journal: Journal
    hidden: int = 0

    def feed(self, data: bytes) -> bytes:
        """Hide it."""
        self.journal.note("mask", "feed")
        self.hidden += data.count(b"secret")
        return data.replace(b"secret", b"******")

    def idle(self) -> bytes:
        """Nothing is held."""
        return b""

    def close(self) -> bytes:
        """Nothing is held."""
        return b""

    def take_counts(self) -> dict[str, int]:
        """How often it was hidden."""
        hidden, self.hidden = self.hidden, 0
        return {"word": hidden} if hidden else {}


@dataclass
class FakeReviews:
    """People who answer at once with `answer`."""

    journal: Journal
    answer: Verdict = field(default_factory=lambda: Verdict(Answer.ALLOW, "r", "approved by bob"))

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        """Ask, and get the answer that the test chose."""
        self.journal.note("review", "asked")
        notice(verdict, "7f3a", NOON)
        return replace(self.answer, review="7f3a")
