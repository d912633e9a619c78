"""Everything that is under way for somebody, so that a lock or a limit can end it at once.

A session, an approver's screens and a verb are each a `Hold`: a task that can be told to end, with
the sentence for the person. Locks act in this process as soon as they are set, and in every other
process on the same store when it next looks, twice a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from broker import events
from broker.control.seldom import Seldom
from broker.errors import EvidenceFailure, InterlockError, TryLater
from broker.policy.locks import Ended, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from broker.config.model import Config
    from broker.model import Identity, Session
    from broker.policy.locks import Lock
    from broker.ports import Audit
    from broker.store.contract import Locks

log = logging.getLogger("interlock.locks")

LOOK_EVERY = 0.5  # seconds between looks at the store for what other processes locked
PATIENCE = 5.0  # seconds after which something that was told to end and has not is told again


class Hold:
    """Something under way: whose it is, and the task that does it."""

    def __init__(
        self,
        identity: Identity,
        session: Session | None = None,
        quiet_since: Callable[[], float] | None = None,
    ) -> None:
        self.identity = identity
        self.session = session
        self.error: InterlockError | None = None
        self.awake = time.monotonic()  # a wait for people is not idleness
        self._quiet_since = quiet_since
        self._task = asyncio.current_task()
        self._told = 0.0

    @property
    def quiet_since(self) -> float | None:
        """Since when nothing came or went; None when that does not matter here."""
        return max(self.awake, self._quiet_since()) if self._quiet_since is not None else None

    def barred_by(self, locks: tuple[Lock, ...]) -> Lock | None:
        """The first lock that is in the way."""
        session = self.session
        where = (session.target, session.id) if session is not None else (None, None)
        return next((lock for lock in locks if lock.bars(self.identity, *where)), None)

    def end(self, error: InterlockError) -> None:
        """Stop the task; the person reads the error. The first one counts."""
        if self.error is None:
            self.error = error
            self._cancel()

    def insist(self) -> None:
        """Stop it again when it has not ended: something in it waits for a peer."""
        if self.error is not None and time.monotonic() - self._told > PATIENCE:
            self._cancel()

    def let_go(self) -> InterlockError | None:
        """The block is left: the error to end it with, instead of the cancellation."""
        if self.error is not None and self._task is not None:
            self._task.uncancel()
        return self.error

    def _cancel(self) -> None:
        self._told = time.monotonic()
        if self._task is not None:
            self._task.cancel(f"interlock: {self.error}")


class Holds:
    """Implements `live.Guard`. `waits` says whether a session waits for people now.

    `elsewhere` says how many sessions other nodes have open: of an identity, and in all.
    """

    def __init__(
        self,
        table: Locks,
        audit: Audit,
        config: Callable[[], Config],
        waits: Callable[[str], bool],
        elsewhere: Callable[[str], tuple[int, int]] = lambda _: (0, 0),
    ) -> None:
        self._table = table
        self._audit = audit
        self._config = config
        self._waits = waits
        self._elsewhere = elsewhere
        self._locks: tuple[Lock, ...] = ()
        self._holds: set[Hold] = set()
        self._blind: EvidenceFailure | None = None
        self._blind_since = 0.0
        self._seldom = Seldom()
        table.tidy()
        self.look()

    # -- locks ---------------------------------------------------------------------------------

    @property
    def locks(self) -> tuple[Lock, ...]:
        """What is locked, as far as this process knows."""
        return self._locks

    def put(self, lock: Lock) -> int:
        """Set a lock; gives how many things it ended in this process."""
        self._table.put(lock)
        return self.look()

    def lift(self, lock: Lock) -> None:
        """Remove a lock."""
        self._table.lift(lock.subject, lock.name)
        self.look()

    def barring(self, identity: Identity, target: str | None = None) -> Lock | None:
        """The lock in this identity's way. Raises EvidenceFailure when nobody can tell."""
        if self._blind is not None:
            raise self._blind
        return next((lock for lock in self._locks if lock.bars(identity, target, None)), None)

    def check(self, identity: Identity, target: str | None = None, source: str = "") -> None:
        """Raises Ended when a lock is in the way; that is audited."""
        lock = self.barring(identity, target)
        if lock is None:
            return
        if times := self._seldom.count((str(identity), str(lock))):
            self._audit.append(
                events.lock_refused(identity, str(lock), target=target, source=source, times=times)
            )
        raise Ended(lock.refusal())

    # -- what is under way ---------------------------------------------------------------------

    def admit(self, identity: Identity, target: str, source: str) -> None:
        """May a session begin? Raises Ended for a lock, TryLater for a limit; both audited."""
        self.check(identity, target, source)
        limits = self._config().limits
        running = [hold for hold in self._holds if hold.session is not None]
        theirs, others = self._elsewhere(str(identity))
        mine = theirs + sum(1 for hold in running if str(hold.identity) == str(identity))
        total = others + len(running)
        if mine >= limits.sessions_per_identity:
            msg = f"you have {mine} sessions open, which is the limit; end one first"
            self.refuse("sessions_per_identity", msg, identity=identity, source=source)
        if total >= limits.sessions:
            msg = f"the broker has {total} sessions open, which is its limit; try later"
            self.refuse("sessions", msg, identity=identity, source=source)

    def refuse(
        self, what: str, told: str, *, identity: Identity | None = None, source: str = ""
    ) -> NoReturn:
        """A limit is reached: audit it, and raise TryLater with the sentence."""
        self.note(what, told, identity=identity, source=source)
        raise TryLater(told)

    def note(
        self, what: str, told: str, *, identity: Identity | None = None, source: str = ""
    ) -> None:
        """Audit that a limit is reached, unless it was just told."""
        who = str(identity) if identity is not None else None
        if times := self._seldom.count((what, who, source)):
            event = events.limit_reached(what, told, identity=identity, source=source, times=times)
            self._audit.append(event)

    @contextmanager
    def holding(
        self,
        identity: Identity,
        session: Session | None = None,
        quiet_since: Callable[[], float] | None = None,
    ) -> Iterator[Hold]:
        """Inside the block a lock or a limit may end the current task.

        Then the block raises the sentence in place of the cancellation.
        """
        hold = Hold(identity, session, quiet_since)
        if (lock := hold.barred_by(self._locks)) is not None:
            raise Ended(lock.refusal())
        self._holds.add(hold)
        timer = self._time_out(hold)
        try:
            yield hold
        except EvidenceFailure:
            raise
        except BaseException:
            if (error := hold.let_go()) is not None:
                raise error from None
            raise
        finally:
            self._holds.discard(hold)
            if timer is not None:
                timer.cancel()
            self._forget(hold)

    def _time_out(self, hold: Hold) -> asyncio.TimerHandle | None:
        if hold.session is None:
            return None
        ttl = self._config().session_ttl
        msg = f"this session reached its limit of {ttl}; connect again"
        loop = asyncio.get_running_loop()
        return loop.call_later(ttl.total_seconds(), self._end, hold, "session_ttl", msg)

    def _end(self, hold: Hold, what: str, told: str) -> None:
        """End what a limit ends, also when that cannot be audited."""
        if hold.error is not None:
            return
        try:
            self._audit.append(
                events.limit_reached(what, told, identity=hold.identity, session=hold.session)
            )
        except EvidenceFailure as error:
            hold.end(error)
        else:
            hold.end(TryLater(told))

    def _forget(self, hold: Hold) -> None:
        """A lock on one session is of no use after it."""
        name = hold.session.id if hold.session is not None else None
        left = tuple(k for k in self._locks if (k.subject, k.name) != (Subject.SESSION, name))
        if name is None or left == self._locks:
            return
        self._locks = left
        with suppress(EvidenceFailure):  # it is tidied at the next start
            self._table.lift(Subject.SESSION, name)

    # -- looking -------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look at the store for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> int:
        """Read the locks, and end what is barred or idle; gives how many things that ended."""
        try:
            self._locks = self._table.all()
        except EvidenceFailure as error:
            if self._blind is None:
                log.error("locks cannot be read, so nobody is let in: %s", error)
                self._blind_since = time.monotonic()
            self._blind = error
            self._lose()
        else:
            self._blind = None
        return sum(self._looked_at(hold) for hold in list(self._holds))

    def _lose(self) -> None:
        """Without the store no lock is heard of: sessions end, unless the operator says `keep`."""
        grace = self._config().on_store_loss
        if grace is None or time.monotonic() - self._blind_since < grace.total_seconds():
            return
        msg = "this session was ended: the broker has lost its store"
        for hold in list(self._holds):
            if hold.session is not None:
                hold.end(EvidenceFailure(msg))

    def _looked_at(self, hold: Hold) -> bool:
        if hold.error is not None:
            hold.insist()
            return False
        lock = hold.barred_by(self._locks)
        if lock is not None:
            hold.end(Ended(lock.ending()))
            return True
        return self._idled(hold)

    def _idled(self, hold: Hold) -> bool:
        limit = self._config().idle_timeout
        if hold.session is not None and self._waits(hold.session.id):
            hold.awake = time.monotonic()
        quiet = hold.quiet_since
        if not limit or quiet is None or time.monotonic() - quiet < limit.total_seconds():
            return False
        msg = f"this session was idle for {limit}, which is the limit; connect again"
        self._end(hold, "idle_timeout", msg)
        return True
