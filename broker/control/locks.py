"""The verbs that bar and end: `lock`, `unlock`, `locks` and `kill`, and who may say them.

Admins lock and lift; auditors may look. A session may be ended by an admin, by a person who
answers for its target, and by the one whose session it is. Each is audited before it takes effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from broker import events
from broker.console.telling import rfc3339, visible
from broker.errors import Denied, UsageError
from broker.model import Kind
from broker.policy.locks import Lock, Subject
from broker.store.records import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.config.model import Config
    from broker.control.holds import Holds
    from broker.model import Identity
    from broker.ports import Audit, Clock
    from broker.store.contract import Store
    from broker.store.records import SessionRecord

Json: TypeAlias = "Mapping[str, object]"

REASON_LIMIT = 300  # characters: it is read on a terminal, in one sentence
NAME_LIMIT = 300


class LockVerbs:
    """What each verb does. `answers_for` says whether an identity approves for a target."""

    def __init__(
        self,
        *,
        config: Callable[[], Config],
        holds: Holds,
        store: Store,
        audit: Audit,
        clock: Clock,
        redact: Callable[[str], str],
        answers_for: Callable[[Identity, str], bool],
    ) -> None:
        self._in_force = config
        self._holds = holds
        self._store = store
        self._audit = audit
        self._clock = clock
        self._redact = redact
        self._answers_for = answers_for

    def lock(self, by: Identity, word: str, reason: str) -> Json:
        """Bar something until it is lifted; what is under way there ends now."""
        self._must_be_admin(by)
        subject, name = self._found(word)
        if subject is Subject.SESSION:
            return self.kill(by, name, reason)
        lock = Lock(subject, name, str(by), self._clock(), self._clean(reason))
        self._audit.append(events.lock_set(by, str(lock), reason=lock.reason), durable=True)
        ended = self._holds.put(lock)
        return lock_json(lock) | {"ended": ended}

    def unlock(self, by: Identity, word: str, reason: str) -> Json:
        """Lift a lock."""
        self._must_be_admin(by)
        self._holds.look()  # it may have been set on another node just now
        found = [lock for lock in self._holds.locks if word in (lock.name, str(lock))]
        if len(found) != 1:
            msg = f"{len(found) or 'no'} locks are on {word!r}; `locks` lists them all"
            raise UsageError(msg)
        self._audit.append(
            events.lock_lifted(by, str(found[0]), reason=self._clean(reason)), durable=True
        )
        self._holds.lift(found[0])
        return lock_json(found[0])

    def kill(self, by: Identity, session: str, reason: str) -> Json:
        """End one session, on whichever node it runs."""
        record = self._store.find_session(session)
        if record is None or not self._may_kill(by, record):
            msg = f"there is no session {session!r} for you to end"
            raise UsageError(msg)
        if record.status != OPEN:
            msg = f"session {session} is over: {record.status}"
            raise UsageError(msg)
        why = self._clean(reason) or "no reason given"
        lock = Lock(Subject.SESSION, session, str(by), self._clock(), why)
        event = events.session_killed(by, session, about=record.identity, reason=why)
        self._audit.append(event, durable=True)
        ended = self._holds.put(lock)
        return lock_json(lock) | {"ended": ended}

    def listed(self, by: Identity) -> list[Json]:
        """Every lock, the oldest first."""
        if not by.is_one_of((*self._in_force().admins, *self._in_force().auditors)):
            msg = "the locks are for admins and auditors to see"
            raise Denied(msg)
        return [lock_json(lock) for lock in self._holds.locks]

    # -- who may, and what is meant ------------------------------------------------------------

    def _must_be_admin(self, by: Identity) -> None:
        if not by.is_one_of(self._in_force().admins):
            msg = f"locking is for {', '.join(self._in_force().admins) or 'nobody'}"
            raise Denied(msg)

    def _may_kill(self, by: Identity, record: SessionRecord) -> bool:
        if record.identity == str(by) or by.is_one_of(self._in_force().admins):
            return True
        return by.kind is Kind.HUMAN and self._answers_for(by, record.target)

    def _found(self, word: str) -> tuple[Subject, str]:
        """What a word names: ``target:orders`` says it, ``orders`` is looked up."""
        kind, colon, name = word.partition(":")
        if colon and kind in {subject.value for subject in Subject}:
            return self._known(Subject(kind), name)
        found = [subject for subject in Subject if self._is(subject, word)]
        if len(found) == 1:
            return self._known(found[0], word)
        if found:
            choices = " or ".join(f"{subject.value}:{word}" for subject in found)
            msg = f"{word!r} is more than one thing here; say {choices}"
            raise UsageError(msg)
        msg = (
            f"{word!r} is no target, issuer or session here, and no identity such as "
            f"alice@example.com; to lock an identity of that name say identity:{word}"
        )
        raise UsageError(msg)

    def _known(self, subject: Subject, name: str) -> tuple[Subject, str]:
        odd = not name or len(name) > NAME_LIMIT or visible(name) != name
        if odd or (subject is not Subject.IDENTITY and not self._is(subject, name)):
            msg = f"there is no {subject.value} {visible(name[:NAME_LIMIT])!r} here"
            raise UsageError(msg)
        return subject, name

    def _is(self, subject: Subject, name: str) -> bool:
        config = self._in_force()
        match subject:
            case Subject.TARGET:
                return name in config.targets
            case Subject.ISSUER:
                return any(issuer.name == name for issuer in config.issuers)
            case Subject.SESSION:
                return self._store.find_session(name) is not None
            case Subject.IDENTITY:
                return "@" in name or "/" in name

    def _clean(self, reason: str) -> str:
        """One line without anything that a terminal would obey or that must not be kept."""
        text = self._redact(reason.encode("utf-8", "replace").decode())
        return visible(" ".join(text.split()))[:REASON_LIMIT]


def lock_json(lock: Lock) -> dict[str, object]:
    """A lock as the verbs print it."""
    return {
        "subject": lock.subject.value,
        "name": lock.name,
        "by": lock.by,
        "at": rfc3339(lock.at),
        "reason": lock.reason,
    }
