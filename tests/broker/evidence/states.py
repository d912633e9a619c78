"""A small state directory with a log, recordings and keys, as a broker leaves it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from broker import events
from broker.evidence import keys
from broker.evidence.log import AuditLog
from broker.evidence.recorder import SessionRecorder
from tests.fakes import NOON, session

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from broker.events import Event
    from broker.model import Session

NAME = "interlock/test"


@dataclass
class Time:
    """A clock that moves when told."""

    now: datetime = NOON
    seconds: float = 0.0
    step: timedelta = field(default=timedelta(milliseconds=1))

    def __call__(self) -> datetime:
        """Now, a little later each time."""
        self.now += self.step
        return self.now

    def monotonic(self) -> float:
        """Seconds, for recordings."""
        return self.seconds


@dataclass
class Broker:
    """The evidence side of a broker on one state directory."""

    state: Path
    time: Time = field(default_factory=Time)

    def open(self) -> AuditLog:
        """Open the log as the broker does when it starts."""
        key = keys.load_or_create(self.state / "keys", NAME)
        return AuditLog.open(self.state / "log", key.private, key.verifier.name, self.time)

    def record(self, log: AuditLog, sid: str) -> SessionRecorder:
        """Begin a recording."""
        return SessionRecorder.open(
            session_of(sid), self.state / "recordings", log, monotonic=self.time.monotonic
        )


def session_of(sid: str) -> Session:
    """A session of that id."""
    return replace(session(), id=sid)


def fact(number: int) -> Event:
    """An event of no particular meaning."""
    return events.broker_event("noted", {"number": number, "text": "x" * (number % 50)})


def make(state: Path, entries: int = 300) -> None:
    """Two closed recordings and about so many entries, all sealed."""
    broker = Broker(state)
    log = broker.open()
    recorders = [broker.record(log, sid) for sid in ("s1", "s2")]
    for number in range(entries):
        log.append(fact(number))
        broker.time.seconds += 0.5
        recorders[number % 2].output(b"line %d\r\n" % number)
    for recorder in recorders:
        recorder.marker("allow r: select 1")
        recorder.close("ended", 0)
        log.append(events.session_closed(session_of("s1"), status="ended", exit_code=0))
    log.close()
