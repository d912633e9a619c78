"""The auditor's question: was anything altered, removed or reordered? Works on a running broker.

What it cannot see: entries of the last second, not yet under a signature, cut off whole; the
open end of a recording that still runs; and a log rewritten by who holds its key. For the last,
compare with an earlier checkpoint that somebody else kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.evidence.files import listed
from broker.evidence.keys import PUBLIC, load_public
from broker.evidence.note import NoteError, VerifierKey
from broker.evidence.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

    from broker.events import Json


@dataclass(frozen=True, slots=True)
class Report:
    """The answer. `entries` are under the signed checkpoint, `pending` not yet.

    `open` names the sessions whose recording still runs.
    """

    ok: bool
    entries: int = 0
    recordings: int = 0
    problems: list[str] = field(default_factory=list)
    pending: int = 0
    open: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The contract's shape."""
        return {
            "ok": self.ok,
            "entries": self.entries,
            "recordings": self.recordings,
            "problems": list(self.problems),
        }


def verify(state: Path, key: VerifierKey | None = None) -> Report:
    """Check the log and the recordings under `state`, with its own public key or the one given.

    Never raises for what it finds: whatever is wrong, or cannot be read, is a problem.
    """
    try:
        return _verify(state, key)
    except OSError as error:
        return Report(ok=False, problems=[f"{error.filename}: cannot be read: {error.strerror}"])


def _verify(state: Path, key: VerifierKey | None) -> Report:
    if not (state / "log").is_dir():
        return Report(ok=False, problems=[f"there is no audit log in {state}"])
    files = listed(state / "recordings")  # before the log is read: see Ledger.compare
    try:
        key = key or load_public(state / "keys")
    except NoteError as error:
        return Report(ok=False, problems=[f"keys/{PUBLIC}: {error}"])
    found = replay(state / "log", key)
    problems = list(found.problems)
    if found.torn:
        problems.append(f"log/pending: ends with {found.torn} bytes that are no whole record")
    problems += found.ledger.compare(state / "recordings", files)
    return Report(
        ok=not problems,
        entries=found.size,
        recordings=len(found.ledger.stories),
        problems=problems,
        pending=len(found.waiting),
        open=tuple(story.sid for story in found.ledger.unclosed()),
    )
