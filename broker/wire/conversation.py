"""One client and one server, without I/O: bytes in, things to do out.

    client bytes ──► from_client ──► Judge ──► answer ──► ToServer
    client       ◄── Deliver     ◄── from_server ◄────── server bytes

Any method may raise ProtocolError (a peer broke the protocol) or Denied (a pinned setting
changed); then the conversation is over, and its caller ends both connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.wire import notices, situations
from broker.wire.answers import PINNED, Answers
from broker.wire.ledger import Ledger
from broker.wire.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.model import Facts, Verdict
    from broker.wire.actions import Action, Situation
    from broker.wire.rows import RowMask


class Conversation:
    """Both halves and what they share.

    `tainted` says whether a statement with these facts reads masked columns, `say` puts a refusal
    into words, `settings` are the server's reported settings at the start, `dbname` names the
    database in the transcript, or is None when nothing is to be transcribed. `closing` is what a
    console of ours adds to the end of a text; it is taken off again. `marker` is a secret of that
    console that no text may hold. `dumping` is for a client that calls itself pg_dump.
    """

    def __init__(
        self,
        mask: RowMask,
        *,
        tainted: Callable[[Facts], bool],
        say: Callable[[Verdict], str],
        settings: Mapping[str, str],
        dbname: str | None = None,
        closing: bytes = b"",
        marker: bytes = b"",
        dumping: bool = False,
    ) -> None:
        self._ledger = Ledger()
        self._requests = Requests(
            self._ledger,
            mask,
            tainted=tainted,
            say=say,
            dbname=dbname,
            closing=closing,
            marker=marker,
            dumping=dumping,
        )
        self._answers = Answers(
            self._ledger,
            mask,
            pinned={name: value for name, value in settings.items() if name in PINNED},
            transcribe=dbname is not None,
            too_many_rows=self._requests.too_many_rows,
            forward=self._requests.follow,
        )

    @property
    def hungry(self) -> bool:
        """May more of the client be read? While False, leave it waiting."""
        return self._requests.hungry

    @property
    def waiting(self) -> int | None:
        """The ticket that is being decided, if any."""
        return self._requests.waiting

    @property
    def busy(self) -> bool:
        """Does the server owe an answer?"""
        return self._ledger.head is not None

    @property
    def dying(self) -> bool:
        """Has the server said its last word (FATAL) already?"""
        return self._answers.dying

    def from_client(self, data: bytes) -> list[Action]:
        """Bytes of the client."""
        return self._requests.feed(data)

    def from_server(self, data: bytes) -> list[Action]:
        """Bytes of the server."""
        return [*self._answers.feed(data), *self._requests.advance()]

    def answer(self, ticket: int, verdict: Verdict) -> list[Action]:
        """The final verdict on what `Judge` or `Refuse` asked about."""
        return self._requests.answer(ticket, verdict)

    def defer(self, ticket: int) -> list[Action]:
        """At Step.PARSE only: let it be parsed, and judge each run of it with its values."""
        return self._requests.defer(ticket)

    def notice(self, ticket: int, text: str) -> list[Action]:
        """The statement waits for people, says this text."""
        return self._requests.notice(ticket, text)

    def cancel(self, ticket: int) -> list[Action]:
        """The client cancelled its waiting statement."""
        why = "canceling statement due to user request"
        return self._requests.fail(ticket, notices.CANCELED, why)

    @property
    def failed(self) -> bool:
        """Is the transaction a failed one, as far as the server has told?"""
        return self._ledger.status == "E"

    def situation(self) -> Situation:
        """Where the statement that is held stands: for those who decide about it."""
        return situations.situation(self._ledger, self._requests.held)

    def aborted(self, ticket: int) -> list[Action]:
        """What is held cannot run in its failed transaction: as the server would say."""
        why = "current transaction is aborted, commands ignored until end of transaction block"
        return self._requests.fail(ticket, notices.ABORTED, why)

    def cancelled(self) -> list[Action]:
        """The cancellation that `CancelUpstream` asked for was made."""
        self._ledger.cancelling -= 1
        return self._requests.advance()
