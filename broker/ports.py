"""What the core needs of the world, declared by the one who needs it; edges satisfy it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from broker.events import Event
    from broker.model import Session, Statement, Verdict


class Clock(Protocol):
    """Time, as UTC."""

    def __call__(self) -> datetime:
        """Now, timezone-aware, UTC."""


class Audit(Protocol):
    """The audit log: an event is in it before its effect happens."""

    def append(self, event: Event, *, durable: bool = False) -> None:
        """Add one event; on return it survives a kill -9 of this process.

        `durable` also syncs it to disk and signs a checkpoint over it before returning.
        Raises EvidenceFailure when it cannot; then nothing may be forwarded.
        """


class Recorder(Protocol):
    """One session's recording: flushed at every return, EvidenceFailure when it cannot be."""

    def output(self, data: bytes) -> None:
        """What the person is about to see, masked."""

    def input(self, text: str) -> None:
        """What the person typed and saw echoed, masked."""

    def hidden_input(self, count: int) -> None:
        """That `count` characters were typed without echo."""

    def marker(self, label: str, *, routine: bool = False) -> None:
        """A point worth jumping to: a verdict, an approval, a mask; synced to disk on return.

        A `routine` one (a rule allowed a statement) survives a kill -9 on return, and its sync
        begins at once, in the background; when that fails, the next call fails.
        """

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size."""


class Mask(Protocol):
    """One stream's masker: the same output however the bytes were split."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes, give back what is certain to be final, masked."""

    def idle(self) -> bytes:
        """Give back what is held only because more might come (for the client's copy alone)."""

    def close(self) -> bytes:
        """Give back all that is held: the stream has ended."""

    def take_counts(self) -> dict[str, int]:
        """How many values of each type were masked since the last call."""


class Reviews(Protocol):
    """Where a statement waits for people."""

    async def ask(
        self, session: Session, statement: Statement, verdict: Verdict, notice: Notice
    ) -> Verdict:
        """Hold until people answer; then an ALLOW or DENY verdict that names the review, who, why.

        The review is stored and audited before anyone is asked; `notice` is called once it is.
        An ALLOW is used up by being returned. Cancelling the call withdraws the review. An
        expired review is a DENY with `expired` set.
        """


class Notice(Protocol):
    """Tells the person waiting what they wait for, in their own protocol's way."""

    def __call__(self, verdict: Verdict, review: str, expires: datetime, /) -> None:
        """`verdict` is the REVIEW verdict; `review` the id to approve; `expires` in UTC."""
