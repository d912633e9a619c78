"""What a conversation wants done, in order, by whoever holds the sockets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from broker.model import Parameter, Statement, Verdict


class Step(Enum):
    """Where a statement stands when it is to be judged."""

    QUERY = "query"
    PARSE = "parse"  # its values are not known yet: a review of it may be put off to BIND
    BIND = "bind"


class ToServer(NamedTuple):
    """Send exactly this to the target: all of it was judged, or is ours."""

    data: bytes


class Deliver(NamedTuple):
    """Record `transcript`, then send `frames` to the client; both are masked already."""

    frames: bytes
    transcript: bytes = b""


@dataclass(frozen=True, slots=True)
class Judge:
    """Get a verdict and give it to `answer(ticket, ...)`, or to `defer(ticket)` at Step.PARSE.

    Nothing that the client sent after it is looked at meanwhile.
    """

    ticket: int
    statement: Statement
    step: Step


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a statement that is held stands: what ran in its transaction before it, as (verdict,
    text), None outside of one; and what is known of its values.
    """

    before: tuple[tuple[str, str], ...] | None = None
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Put this refusal of our own on the record, then give it to `answer(ticket, ...)`."""

    ticket: int
    statement: Statement
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Undo:
    """Put on the record that this, which was let through, is undone; it is so only after."""

    statement: Statement
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Stop asking about this ticket: its statement will not run, whatever the answer."""

    ticket: int


@dataclass(frozen=True, slots=True)
class CancelUpstream:
    """Ask the target to stop the running statement, then call `cancelled()`."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The target is ready for the next statement: a good moment to note counts.

    `idle`: no transaction is open.
    """

    idle: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """The conversation is over. `error` is empty when the client said goodbye by itself."""

    error: str = ""


Action: TypeAlias = (
    ToServer | Deliver | Judge | Refuse | Undo | Withdraw | CancelUpstream | Settled | Close
)
