"""One session's recording, tied into the audit log; and the recordings that a crash left open.

The event comes before the file, so no file can appear that the log does not know. Close the
recorder before the session's own `session.closed` event: after that event an unclosed recording
is a problem for the verifier.
"""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from broker import events
from broker.errors import EvidenceFailure
from broker.evidence.ledger import INTERRUPTED
from recordings.errors import RecordingFailed
from recordings.writer import Closed, Writer, file_name, measure, recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker.evidence.log import AuditLog
    from broker.model import Session
    from broker.ports import Audit


BARE = re.compile(rb"(?<!\r)\n")


class SessionRecorder:
    """Implements ports.Recorder. Call `tick` once a second, and `close` whatever happens."""

    def __init__(self, session: Session, root: Path, audit: Audit, *, terminal: bool) -> None:
        self.file = file_name(session.id, session.started)
        self._sid = session.id
        self._root = root
        self._audit = audit
        self._writer: Writer | None = None
        self._terminal = terminal
        self._after_return = False

    @classmethod
    def open(
        cls,
        session: Session,
        root: Path,
        audit: Audit,
        *,
        size: tuple[int, int] = (80, 24),
        terminal: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> SessionRecorder:
        """Begin the recording of a session; `root` is ``state/recordings``. No file, no session.

        Without a `terminal` line ends come bare, and are recorded as a terminal would show them:
        players set theirs to raw, where a bare line end goes down but not back to the left.
        """
        with _failing():
            recorder = cls(session, root, audit, terminal=terminal)
            audit.append(events.recording_opened(session.id, file=recorder.file), durable=True)
            recorder._writer = Writer.create(
                root,
                session.id,
                _header(session, size),
                session.started,
                recorder._chunk,
                monotonic,
            )
        return recorder

    def output(self, data: bytes) -> None:
        """What the person is about to see, masked."""
        try:
            self._open.output(data if self._terminal else self._with_returns(data))
        except RecordingFailed as error:
            raise EvidenceFailure(str(error)) from error

    def input(self, text: str) -> None:
        """What the person typed and saw echoed, masked."""
        with _failing():
            self._open.input(text)

    def hidden_input(self, count: int) -> None:
        """That `count` characters were typed without echo."""
        self.input(f"<hidden {count}>")

    def marker(self, label: str, *, routine: bool = False) -> None:
        """A point worth jumping to; on disk when this returns, or if `routine` moments later."""
        try:
            self._open.marker(label, routine=routine)
        except RecordingFailed as error:
            raise EvidenceFailure(str(error)) from error

    def resize(self, columns: int, rows: int) -> None:
        """The terminal's new size."""
        with _failing():
            self._open.resize(columns, rows)

    def tick(self) -> None:
        """Sync, and tie what was written into the log, though nothing new came."""
        if self._writer is not None:
            with _failing():
                self._writer.tick()

    def close(self, status: str, exit_code: int | None) -> None:
        """End the recording. One that has failed is cut to its last whole line, and says so."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            closed = writer.close(status, exit_code)
        except RecordingFailed:
            writer.abandon()
            salvage(self._root, self._sid, self.file, self._audit)
            return
        _tell_closed(self._audit, self._sid, self.file, closed, status)

    def _with_returns(self, data: bytes) -> bytes:
        if data.count(b"\n") == data.count(b"\r\n"):  # a transcript, which has its returns
            self._after_return = data.endswith(b"\r") if data else self._after_return
            return data
        first = b"\n" if self._after_return and data.startswith(b"\n") else b""
        self._after_return = data.endswith(b"\r") if data else self._after_return
        return first + BARE.sub(b"\r\n", data[len(first) :])

    @property
    def _open(self) -> Writer:
        if self._writer is None:
            msg = "the recording is closed"
            raise RecordingFailed(msg)
        return self._writer

    def _chunk(self, n: int, offset: int, length: int, sha256: str) -> None:
        chunk = events.recording_chunk(self._sid, n=n, offset=offset, length=length, sha256=sha256)
        self._audit.append(chunk)


def salvage(root: Path, sid: str, file: str, audit: Audit) -> None:
    """Close a recording that was left open: cut it to its last whole line and say what remains."""
    path = root / file
    with _failing():
        if path.exists():
            recover(path)
            closed = measure(path)
        else:  # the log knew it, but the file was never begun
            closed = Closed(size=0, sha256=hashlib.sha256().hexdigest(), events=0, ms=0)
    _tell_closed(audit, sid, file, closed, INTERRUPTED)


def salvage_all(root: Path, log: AuditLog) -> list[str]:
    """Close every recording that a previous run left open; gives their session ids.

    A file that is gone though the log holds chunks of it is left: the verifier must say so.
    """
    done = []
    for story in log.left_open:
        if story.chunks and not (root / story.file).exists():
            continue
        salvage(root, story.sid, story.file, log)
        done.append(story.sid)
    return done


def _tell_closed(audit: Audit, sid: str, file: str, closed: Closed, status: str) -> None:
    audit.append(
        events.recording_closed(
            sid,
            file=file,
            size=closed.size,
            sha256=closed.sha256,
            events=closed.events,
            ms=closed.ms,
            status=status,
        )
    )


def _header(session: Session, size: tuple[int, int]) -> dict[str, Any]:
    identity = session.identity
    return {
        "width": size[0],
        "height": size[1],
        "timestamp": int(session.started.timestamp()),
        "title": f"{identity.name} on {session.target}",
        "interlock": {
            "session": session.id,
            "identity": str(identity),
            "acting_for": identity.acting_for,
            "claims": dict(identity.claims),
            "target": session.target,
            "way": session.way.value,
            "reason": session.reason,
            "config": session.config_hash,
            "node": session.node,
        },
    }


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except RecordingFailed as error:
        raise EvidenceFailure(str(error)) from error
