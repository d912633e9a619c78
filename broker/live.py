"""Sessions that run on this node: each is opened with everything that makes it safe, or not at all.

Opening order: may this identity do anything here? Then the recording, the audit event, and only
then the caller gets a gate. A session that cannot be recorded or audited does not exist.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from broker import events
from broker.errors import Denied, EvidenceFailure, InterlockError
from broker.evidence.recorder import SessionRecorder
from broker.gate import Gate
from broker.mask.stream import new_stream
from broker.model import Session, Verdict
from broker.policy import may
from broker.policy.locks import Ended
from broker.policy.sql.catalogue import Overlay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from broker.config.model import Config
    from broker.console.client import Terminal
    from broker.model import Identity, Statement, Way
    from broker.ports import Audit, Clock, Reviews
    from broker.store.contract import Store
    from broker.targets import Target

log = logging.getLogger("interlock.live")

NO_TERMINAL = (80, 24)


class Guard(Protocol):
    """Locks and limits, as sessions meet them."""

    def admit(self, identity: Identity, target: str, source: str) -> None:
        """May a session begin? Raises Denied for a lock, TryLater for a limit."""

    def holding(
        self,
        identity: Identity,
        session: Session | None = None,
        quiet_since: Callable[[], float] | None = None,
    ) -> AbstractContextManager[object]:
        """Inside the block a lock or a limit may end the current task, with its sentence."""


@dataclass
class Opened:
    """One open session."""

    session: Session
    gate: Gate
    target: Target
    exit_code: int = 0


class Live:
    """Opens and closes sessions."""

    def __init__(
        self,
        *,
        config: Callable[[], Config],
        store: Store,
        audit: Audit,
        reviews: Reviews,
        clock: Clock,
        new_id: Callable[[], str],
        node: str,
        judge: Callable[[Identity, str, Statement, Overlay], Verdict],
        redact: Callable[[str], str],
        guard: Guard,
    ) -> None:
        self._in_force = config
        self._guard = guard
        self._store = store
        self._audit = audit
        self._reviews = reviews
        self._clock = clock
        self._new_id = new_id
        self._node = node
        self._judge = judge
        self._redact = redact
        self._running: dict[str, Opened] = {}
        self._recorders: dict[str, SessionRecorder] = {}

    @property
    def _config(self) -> Config:
        return self._in_force()

    def may_reach(self, identity: Identity, target: str) -> bool:
        """Does any rule let this identity do anything there?"""
        found = self._config.targets.get(target)
        rules = self._config.rules
        return found is not None and bool(may.summary(rules, identity, target, found.kind))

    @asynccontextmanager
    async def open(
        self,
        identity: Identity,
        target: Target,
        way: Way,
        *,
        reason: str = "",
        source: str = "",
        terminal: Terminal | None = None,
        quiet_since: Callable[[], float] | None = None,
    ) -> AsyncIterator[Opened]:
        """One session from its first event to its last. Raises Denied or EvidenceFailure.

        `quiet_since` tells since when nothing came or went, where idleness is limited.
        """
        if not self.may_reach(identity, target.name):
            raise Denied(may.out_of_reach(target.name))
        self._guard.admit(identity, target.name, source)
        session = Session(
            id=self._new_id(),
            identity=identity,
            target=target.name,
            target_kind=target.kind,
            way=way,
            started=self._clock(),
            config_hash=self._config.hash,
            reason=self._redact(reason),
            source=source,
            node=self._node,
        )
        recorder = self._begin(session, terminal)
        opened = self._with_gate(session, recorder, target)
        self._running[session.id] = opened
        self._recorders[session.id] = recorder
        status = "ended"
        try:
            with self._guard.holding(identity, session, quiet_since):
                yield opened
        except Ended as ended:
            status, opened.exit_code = "killed", ended.code
            raise
        except EvidenceFailure:
            status = "failed"
            raise
        except InterlockError as error:
            opened.exit_code = error.code
            raise
        except BaseException:
            status = "interrupted"
            raise
        finally:
            del self._running[session.id], self._recorders[session.id]
            self._end(opened, recorder, status)

    def running(self) -> list[str]:
        """The sessions that run here now."""
        return list(self._running)

    def before(self, session: str) -> list[str]:
        """The last statements of a running session, masked, with their verdicts."""
        opened = self._running.get(session)
        return list(opened.gate.recent) if opened is not None else []

    def tick(self) -> None:
        """Once a second: sync every recording and tie what it holds into the log."""
        for recorder in list(self._recorders.values()):
            try:
                recorder.tick()
            except EvidenceFailure as error:  # its session hears of it at its next byte
                log.error("a recording could not be synced: %s", error)

    def _begin(self, session: Session, terminal: Terminal | None) -> SessionRecorder:
        columns, rows = (terminal.columns, terminal.rows) if terminal else NO_TERMINAL
        self._audit.append(events.session_opened(session), durable=True)
        recorder = SessionRecorder.open(
            session,
            self._config.state / "recordings",
            self._audit,
            size=(columns, rows),
            terminal=terminal is not None,
        )
        try:
            self._store.save_session_opened(session, recording=recorder.file)
        except BaseException:
            recorder.close("failed", None)
            raise
        return recorder

    def _with_gate(self, session: Session, recorder: SessionRecorder, target: Target) -> Opened:
        overlay = Overlay()

        def judged(statement: Statement) -> Verdict:
            return self._judge(session.identity, session.target, statement, overlay)

        gate = Gate(
            session,
            judge=judged,
            reviews=self._reviews,
            audit=self._audit,
            recorder=recorder,
            new_mask=lambda: new_stream(self._config.masking),
            redact=self._redact,
        )
        return Opened(session, gate, target)

    def _end(self, opened: Opened, recorder: SessionRecorder, status: str) -> None:
        """Close what was opened; each step even when the one before it failed."""
        session, code = opened.session, opened.exit_code
        failures: list[str] = []
        steps: tuple[Callable[[], None], ...] = (
            lambda: recorder.close(status, code),
            lambda: self._masked(opened),
            lambda: self._audit.append(
                events.session_closed(session, status=status, exit_code=code), durable=True
            ),
            lambda: self._store.save_session_closed(
                session.id, ended=self._clock(), status=status, exit_code=code
            ),
        )
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - closing goes on; what failed is said
                failures.append(str(error))
        for failure in failures:
            log.error("session %s did not close cleanly: %s", session.id, failure)

    def _masked(self, opened: Opened) -> None:
        if opened.gate.masked:
            self._audit.append(events.masked(opened.session, opened.gate.masked))
