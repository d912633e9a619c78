"""What can go wrong on purpose, as one tree; anything else is a bug and ends only its own session.

InterlockError                 a sentence for the person, and the exit code that goes with it
├─ UsageError            64    the request itself makes no sense here
├─ Unparsable            65    a statement that the grammar does not accept
├─ TargetUnreachable     69    the target did not answer, or is not who we pinned
├─ EvidenceFailure       70    audit log, recorder or masker failed: the session must end
│  └─ StoreAway          75    the store does not answer now: nothing new may begin
├─ TryLater              75    a limit, an expired review: the same may pass later
├─ Denied                77    refused by a rule or by a person
│  └─ IdentityRefused    77    the credential does not prove what it claims
├─ ProtocolError         70    the peer broke its protocol; ends that connection only
└─ ConfigError           64    every problem of a configuration file at once
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ExitCode(IntEnum):
    """The exit codes of the contract (sysexits)."""

    OK = 0
    USAGE = 64
    UNPARSABLE = 65
    UNREACHABLE = 69
    FAULT = 70
    TRY_LATER = 75
    DENIED = 77


class InterlockError(Exception):
    """A failure that is told to the person: `str(error)` is the sentence, without secrets."""

    code: ExitCode = ExitCode.FAULT


class UsageError(InterlockError):
    """The request makes no sense here: unknown verb, unknown target, a forward we do not offer."""

    code = ExitCode.USAGE


class Unparsable(InterlockError):
    """A statement that the grammar does not accept; `position` counts characters from 0."""

    code = ExitCode.UNPARSABLE

    def __init__(self, reason: str, position: int | None = None) -> None:
        super().__init__(reason)
        self.position = position

    @property
    def sentence(self) -> str:
        """What is wrong, and where as people count."""
        return str(self) if self.position is None else f"{self} (at character {self.position + 1})"


class TargetUnreachable(InterlockError):
    """The target did not answer, refused our credential, or showed another host key."""

    code = ExitCode.UNREACHABLE


class EvidenceFailure(InterlockError):
    """Audit log, recorder or masker failed. Nothing may be forwarded or delivered after it."""

    code = ExitCode.FAULT


class StoreAway(EvidenceFailure):
    """The store does not answer now. Nothing was begun, and the same may pass later."""

    code = ExitCode.TRY_LATER


class TryLater(InterlockError):
    """A limit was reached or a review expired: the same request may pass later."""

    code = ExitCode.TRY_LATER


class Denied(InterlockError):
    """Refused by a rule or by a person."""

    code = ExitCode.DENIED


class IdentityRefused(Denied):
    """A token or certificate that does not prove what it claims; the sentence says which check.

    `issuer`, `subject` and `serial` say whose it is, as far as that was proven; `claimed` is what
    an unproven one says of itself, bounded, for the audit log and for nobody's decision.
    """

    issuer: str | None = None
    subject: str | None = None
    serial: int | None = None
    claimed: Mapping[str, str] | None = None


class ProtocolError(InterlockError):
    """The peer broke its protocol. Ends that connection, and no other."""

    code = ExitCode.FAULT


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration file: where, what, and the nearest thing that is right."""

    file: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}: {self.message}{hint}"


class ConfigError(InterlockError):
    """Every problem of a configuration file at once; a bad file changes nothing."""

    code = ExitCode.USAGE

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
