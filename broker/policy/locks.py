"""What is barred until it is lifted: an identity, a target, one session, or all of an issuer.

A lock of an identity is written as a name (whoever vouches for it) or as ``kind:name@issuer``. The
lock of a person bars the agents that act for them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from broker.errors import Denied

if TYPE_CHECKING:
    from datetime import datetime

    from broker.model import Identity

HUMAN, AGENT = "human:", "agent:"


class Subject(Enum):
    """What a lock is on."""

    IDENTITY = "identity"
    TARGET = "target"
    SESSION = "session"
    ISSUER = "issuer"


class Ended(Denied):
    """A lock is in the way, or has ended what was under way."""


@dataclass(frozen=True, slots=True)
class Lock:
    """One bar: on what, by whom (``kind:name@issuer``), since when, and why."""

    subject: Subject
    name: str
    by: str
    at: datetime
    reason: str

    def __str__(self) -> str:
        """What is locked, as the verbs take it: ``target:orders``."""
        return f"{self.subject.value}:{self.name}"

    def bars(self, identity: Identity, target: str | None, session: str | None) -> bool:
        """Is this identity, on its way to that target in that session, barred by this lock?"""
        match self.subject:
            case Subject.IDENTITY:
                return _is_or_acts_for(identity, self.name)
            case Subject.ISSUER:
                return identity.issuer == self.name
            case Subject.TARGET:
                return target == self.name
            case Subject.SESSION:
                return session == self.name

    def refusal(self) -> str:
        """One sentence for somebody who may not begin."""
        return f"{self._whom()} locked by {person(self.by)}: {self.reason}"

    def ending(self) -> str:
        """One sentence for somebody whose session ends."""
        if self.subject is Subject.SESSION:
            return f"this session was ended by {person(self.by)}: {self.reason}"
        return f"this session was ended: {self.refusal()}"

    def _whom(self) -> str:
        match self.subject:
            case Subject.IDENTITY:
                return "you are"
            case Subject.ISSUER:
                return f"everybody of {self.name} is"
            case Subject.TARGET | Subject.SESSION:
                return f"{self.name} is"


def person(key_id: str) -> str:
    """The name in ``kind:name@issuer``; any other text as it is."""
    if not key_id.startswith((HUMAN, AGENT)):
        return key_id
    name, at, _ = key_id.partition(":")[2].rpartition("@")
    return name if at else key_id


def _is_or_acts_for(identity: Identity, locked: str) -> bool:
    """Names are compared without case: a second spelling must not be a way round a lock."""
    wanted = locked.casefold()
    mine = {str(identity).casefold(), identity.name.casefold()}
    if wanted in mine:
        return True
    if identity.acting_for is None or wanted.startswith(AGENT):
        return False
    return identity.acting_for.casefold() in {wanted, person(wanted)}
