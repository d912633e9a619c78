"""What a store is to the rest of the broker: one file of one node, or what several nodes share.

Calls are synchronous and short, from one thread. A failure is an EvidenceFailure: what cannot be
kept must not happen. One that is away says so at once, with StoreAway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from broker.model import Session
    from broker.policy.locks import Lock, Subject
    from broker.review.life import Review, State
    from broker.store.records import SessionRecord


class Store(Protocol):
    """Sessions, reviews and serials."""

    def save_session_opened(self, session: Session, *, recording: str | None) -> None:
        """Keep a session that begins; its id must be new."""

    def save_session_closed(
        self, session_id: str, *, ended: datetime, status: str, exit_code: int | None
    ) -> None:
        """Keep how a session ended; the first end is the one that counts."""

    def catch_up(self) -> None:
        """Keep the ends of sessions that could not be kept when they came."""

    def find_session(self, session_id: str) -> SessionRecord | None:
        """The session of that id."""

    def list_sessions(
        self,
        *,
        identity: str | None = None,
        target: str | None = None,
        status: str | None = None,
        limit: int = 100,
    ) -> list[SessionRecord]:
        """Sessions, the latest first; each filter that is given must match exactly."""

    def interrupt_sessions(self, ended: datetime, node: str | None = None) -> list[SessionRecord]:
        """Mark what a previous run (of that node) left open; gives those sessions as they are."""

    def next_serial(self, issued: datetime) -> int:
        """A certificate serial that was never given before, by any node."""

    def add_review(self, review: Review) -> bool:
        """Keep a new review; False when there is one of that id."""

    def change_review(self, before: Review, after: Review, first: Callable[[], None]) -> bool:
        """Keep `after` if the review still is as `before`; False, and nothing done, if not.

        `first` is called in between, while nobody else can change it; when it raises, or when the
        store fails, nothing has changed.
        """

    def find_review(self, review_id: str) -> Review | None:
        """The review of that id."""

    def list_reviews(self, state: State | None = None, *, limit: int = 100) -> list[Review]:
        """Reviews, the latest first."""

    def list_orphans(self) -> list[Review]:
        """Reviews that wait although the session that asked is over."""

    def pending_marks(self) -> Mapping[str, int]:
        """Each review that waits, and how many approvals it has: when one changes, so does this."""


class Locks(Protocol):
    """What is locked, for every process on the same store."""

    def all(self) -> tuple[Lock, ...]:
        """Every lock, the oldest first."""

    def put(self, lock: Lock) -> None:
        """Keep a lock; one that is on the same already is replaced."""

    def lift(self, subject: Subject, name: str) -> bool:
        """Remove a lock; False when there was none."""

    def tidy(self) -> None:
        """Remove the locks on sessions that are over."""


class Nodes(Protocol):
    """The nodes on one store: who lives, and what the others have open."""

    @property
    def name(self) -> str:
        """What this one is called."""

    def renew(self, running: Collection[str], connections: Mapping[str, int]) -> None:
        """This node lives: with these sessions, and so many connections of each identity."""

    def bury(self, ended: datetime, first: Callable[[str, list[SessionRecord]], None]) -> None:
        """Mark the open sessions of dead nodes as interrupted.

        `first` is called with a node's name and those sessions; when it raises, nothing is changed.
        """

    def leave(self) -> None:
        """This node stops."""

    def sessions_elsewhere(self, identity: str) -> tuple[int, int]:
        """How many sessions other nodes have open: of this identity, and in all."""

    def connections_elsewhere(self, identity: str) -> tuple[int, int]:
        """The same of connections; as they were a moment ago."""

    def knock(self, source: str, per_minute: int) -> bool:
        """Count a login from an address over all nodes; False when there were too many."""
