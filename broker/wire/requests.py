"""The client's half: every statement is judged, and nothing overtakes one that is not answered.

A refused message is not left out, it is replaced by one that the server is certain to refuse
too, and whose error is then told as ours. So the order of answers, the skipping until Sync, the
failed transaction and the position in a pipeline are the server's own, not our idea of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from broker.errors import ProtocolError
from broker.model import Answer, Language, Statement, Verdict
from broker.wire import (
    bounds,
    cursors,
    frontend,
    messages,
    notices,
    pg_dump,
    refusals,
    situations,
    transcript,
    words,
)
from broker.wire.actions import Close, Deliver, Judge, Refuse, Step, ToServer, Withdraw
from broker.wire.ledger import Ledger, Owed, Portal, Prepared, Sort
from broker.wire.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.model import Facts
    from broker.wire.actions import Action
    from broker.wire.frontend import Bind
    from broker.wire.ledger import Refusal, Terms
    from broker.wire.rows import RowMask

SMALL = 4096  # bytes that are worth a copy to be sent together
BACKLOG = 1 << 20  # bytes of the client that may wait here before it is no longer read


class Requests:
    """Takes the client's messages apart and lets through what was allowed."""

    def __init__(
        self,
        ledger: Ledger,
        mask: RowMask,
        *,
        tainted: Callable[[Facts], bool],
        say: Callable[[Verdict], str],
        dbname: str | None,
        closing: bytes = b"",
        marker: bytes = b"",
        dumping: bool = False,
    ) -> None:
        self._dumping, self._ledger, self._mask = dumping, ledger, mask
        self._tainted = tainted
        self._say = say
        self._dbname = dbname  # None: no transcript
        self._closing = closing
        self._marker = marker
        self._frames = messages.Frames(messages.FROM_CLIENT)
        self._queue: deque[Message] = deque()
        self._queued = 0
        self._out: list[Action] = []
        self._tickets = 0
        self._held: tuple[Message, Sort, Statement] | None = None
        self._reviewed = False
        self._flushed = False
        self._by_kind: Mapping[str, Callable[[Message], None]] = {
            "Q": self._query,
            "P": self._parse,
            "B": self._bind,
            "D": self._describe,
            "E": self._execute,
            "C": self._close,
            "F": self._function_call,
        }
        self.over = False

    @property
    def hungry(self) -> bool:
        """May more of the client be read?"""
        return self._queued + self._frames.buffered < BACKLOG or not self._queue

    @property
    def waiting(self) -> int | None:
        """The ticket that is being decided, if any."""
        return None if self._held is None else self._tickets

    @property
    def held(self) -> Message | None:
        """The message that is being decided about, if any."""
        return None if self._held is None else self._held[0]

    def feed(self, data: bytes) -> list[Action]:
        """Bytes of the client."""
        self._frames.feed(data)
        while (message := self._frames.next()) is not None:
            if message.kind == "X" and self._held is not None:
                return self._goodbye()
            self._queue.append(message)
            self._queued += len(message.frame)
        if self._reviewed and not self.hungry:
            msg = "too much was sent behind a statement that waits for approval"
            raise ProtocolError(msg)
        return self.advance()

    def advance(self) -> list[Action]:
        """Go on with what waits here, as far as it may."""
        if self._held is not None and self._ledger.skipping:
            self._out.append(Withdraw(self._tickets))
            self._held, self._reviewed = None, False
        while self._queue and not self.over and self._held is None and self._may_go(self._queue[0]):
            message = self._queue.popleft()
            self._queued -= len(message.frame)
            self._handle(message)
        out, self._out = self._out, []
        return out

    def _may_go(self, message: Message) -> bool:
        ledger = self._ledger
        if ledger.copying_in:
            return True
        if ledger.blocked:
            return False
        if message.kind in "dcf" and any(o.sort is Sort.EXECUTE for o in ledger.owed):
            # It may be data for a COPY whose beginning has not arrived: ask for it, and wait.
            if not self._flushed:
                self._send(messages.FLUSH)
            self._flushed = True
            return False
        self._flushed = False
        return True

    def _handle(self, message: Message) -> None:
        kind = message.kind
        if kind == "X":
            self._out.extend(self._goodbye())
        elif self._ledger.copying_in:
            self._copy(message)
        elif kind in "dcf":
            pass  # left over from a COPY that failed: the server ignores it too
        elif kind == "S":
            self._ledger.skipping = False
            self._forward(message.frame, Owed(Sort.SYNC))
        elif not self._ledger.skipping and kind == "H":
            self._send(message.frame)
        elif not self._ledger.skipping:
            self._by_kind[kind](message)

    def _goodbye(self) -> list[Action]:
        out = [Withdraw(self._tickets)] if self._held is not None else []
        self.over, self._held = True, None
        return [*out, ToServer(messages.TERMINATE), Close()]

    # -- statements: ask, hold, go on ------------------------------------------------------------

    def _query(self, message: Message) -> None:
        text = frontend.read_query(message.body)
        if self._closing and text.endswith(self._closing):
            # Our own console closed it: what is judged and sent is the person's text alone.
            text = text.removesuffix(self._closing)
            message = Message("Q", messages.query(text))
        if self._dumping:
            text, told = pg_dump.stand_in(text)
            message = Message("Q", messages.query(text))
            self._out.extend(told)
        if self._readable(message, Sort.QUERY, text):
            statement = Statement(Language.SQL, text.decode())
            self._ask(message, Sort.QUERY, statement, Step.QUERY)

    def _parse(self, message: Message) -> None:
        text = frontend.read_parse(message.body).text
        if self._readable(message, Sort.PARSE, text):
            statement = Statement(Language.SQL, text.decode())
            self._ask(message, Sort.PARSE, statement, Step.PARSE)

    def _bind(self, message: Message) -> None:
        bind = frontend.read_bind(message.body)
        prepared = self._ledger.statements.find(bind.statement)
        if prepared is None:
            self._unknown(Owed(Sort.BIND, bind.portal), "prepared statement", bind.statement)
        elif prepared.deferred:
            statement = Statement(Language.SQL, prepared.text, bind.values)
            self._ask(message, Sort.BIND, statement, Step.BIND)
        else:
            self._bound(message, bind, prepared, prepared.terms)

    def _readable(self, message: Message, sort: Sort, text: bytes) -> bool:
        """Do we and the server read the same? If not, it is refused."""
        wrong = words.unreadable(text, self._marker, lambda: self._ledger.deferred)
        if wrong is not None:
            self._refuse(message, sort, *wrong)
        return wrong is None

    def _ask(self, message: Message, sort: Sort, statement: Statement, step: Step) -> None:
        self._hold(message, sort, statement)
        self._out.append(Judge(self._tickets, statement, step))

    def _refuse(self, message: Message, sort: Sort, text: bytes, why: str) -> None:
        statement = Statement(Language.SQL, text.decode("utf-8", "replace"))
        self._hold(message, sort, statement)
        verdict = Verdict(Answer.DENY, "protocol", why)
        self._out.append(Refuse(self._tickets, statement, verdict))

    def _hold(self, message: Message, sort: Sort, statement: Statement) -> None:
        self._tickets += 1
        self._held, self._reviewed = (message, sort, statement), False

    def notice(self, ticket: int, text: str) -> list[Action]:
        """The statement waits for people: tell the client, who waits too."""
        if ticket != self.waiting:
            return []
        self._reviewed = True
        return [Deliver(notices.notice(text), self._told(transcript.line(text)))]

    def answer(self, ticket: int, verdict: Verdict) -> list[Action]:
        """The final verdict on what is held."""
        held = self._take(ticket)
        if held is None:
            return []
        if verdict.answer is Answer.ALLOW:
            self._go(*held, verdict)
        else:
            self._ledger.ran.append(("deny", held[2].text))
            code = notices.NOT_UNDERSTOOD if verdict.unparsable else notices.DENIED
            self._stand_in(held[0], held[1], code, self._say(verdict))
        return self.advance()

    def defer(self, ticket: int) -> list[Action]:
        """What is held may be parsed, but each run of it asks again with its values."""
        held = self._take(ticket)
        if held is None:
            return []
        text = held[2].text
        self._parsed(held[0], Prepared(text, frontend.words(text), deferred=True))
        return self.advance()

    def fail(self, ticket: int, code: str, text: str) -> list[Action]:
        """What is held fails, with an error as the server would say it."""
        held = self._take(ticket)
        if held is not None:
            self._stand_in(held[0], held[1], code, text)
        return self.advance()

    def _take(self, ticket: int) -> tuple[Message, Sort, Statement] | None:
        if ticket != self.waiting:
            return None
        held, self._held, self._reviewed = self._held, None, False
        return held

    def _go(self, message: Message, sort: Sort, statement: Statement, verdict: Verdict) -> None:
        tainted = self._tainted(verdict.facts)
        terms = bounds.terms(verdict, statement, tainted=tainted)
        self._ledger.note(terms)
        if sort is Sort.QUERY:
            self._runs(statement.text, frontend.words(statement.text), situations.word(verdict))
            if self._dbname is not None:
                self._record(transcript.statement(self._dbname, statement.text))
            first = bounds.first(self._ledger, message.frame, terms, statement.text)
            if first is None:
                self._stand_in(message, sort, notices.DENIED, f"interlock: {bounds.UNCLEAR}")
            else:
                self._forward(*first)
        elif sort is Sort.PARSE:
            self._parsed(message, Prepared(statement.text, frontend.words(statement.text), terms))
        else:
            bind = frontend.read_bind(message.body)
            prepared = self._ledger.statements.find(bind.statement)
            if prepared is None:
                msg = "a prepared statement vanished while it was approved"
                raise ProtocolError(msg)
            self._bound(message, bind, prepared, terms, situations.word(verdict))

    def _runs(self, text: str, said: frozenset[str], word: str) -> None:
        """This text runs next: what its words may do to names behind our back is taken as done."""
        self._ledger.ran.append((word, text))
        self._ledger.epoch += 1
        if "prepare" in said:
            self._ledger.void_statements()
        if "declare" in said or "close" in said:
            self._ledger.void_portals()

    def _parsed(self, message: Message, prepared: Prepared) -> None:
        parse = frontend.read_parse(message.body)
        prepared.types = parse.types
        self._forward(message.frame, Owed(Sort.PARSE, parse.name, prepared=prepared))

    def _bound(
        self, message: Message, bind: Bind, prepared: Prepared, terms: Terms, word: str = "allow"
    ) -> None:
        portal = Portal(prepared, self._ledger.result(terms), word=word)
        if self._dbname is not None:
            portal.shown = transcript.bound(self._dbname, prepared.text, bind)
        self._forward(message.frame, Owed(Sort.BIND, bind.portal, portal=portal))

    # -- the other messages ----------------------------------------------------------------------

    def _describe(self, message: Message) -> None:
        named = frontend.read_named(message.body)
        if named.what == "S":
            owed = Owed(Sort.DESCRIBE_STATEMENT, named.name)
            if self._ledger.statements.find(named.name) is None:
                self._unknown(owed, "prepared statement", named.name)
            else:
                self._forward(message.frame, owed)
            return
        owed = Owed(Sort.DESCRIBE_PORTAL, named.name)
        owed.portal = self._ledger.portals.find(named.name)
        if owed.portal is not None:  # else a cursor of SQL: what it is called tells no value
            owed.portal.described = self._ledger.epoch
        self._forward(message.frame, owed)

    def _execute(self, message: Message) -> None:
        name = frontend.read_execute(message.body)
        portal = self._ledger.portals.find(name)
        if portal is None:
            self._unknown(Owed(Sort.EXECUTE, name), "portal", name)
            return
        text = portal.prepared.text
        said = portal.prepared.words
        if "execute" in said and self._ledger.deferred:  # prepared since this was
            self._refuse(message, Sort.EXECUTE, text.encode(), words.NO_EXECUTE)
            return
        if portal.result.terms.max_affected is not None and not frontend.runs_whole(message.body):
            self._refuse(message, Sort.EXECUTE, text.encode(), bounds.IN_PARTS)
            return
        if portal.described != self._ledger.epoch:
            hidden = Owed(Sort.DESCRIBE_PORTAL, name, portal=portal, hidden=True)
            self._forward(messages.describe("P", name), hidden)
        self._runs(text, said, portal.word)
        portal.described = self._ledger.epoch
        if portal.shown:
            self._record(portal.shown)
            portal.shown = b""
        cursors.go_on(self._ledger, text, portal.result, name)
        bounded = portal.result.terms.bounded or "copy" in said
        owed = Owed(Sort.EXECUTE, name, portal=portal, result=portal.result, barrier=bounded)
        cursors.begins(self._ledger, text, owed)
        self._forward(message.frame, owed)
        if bounded:  # we may have to stop it
            self._send(messages.FLUSH)  # its end must come before anything else

    def _close(self, message: Message) -> None:
        named = frontend.read_named(message.body)
        self._forward(message.frame, Owed(Sort.CLOSE, named.name, what=named.what))

    def _function_call(self, message: Message) -> None:
        why = "function calls by number are not offered; use SELECT"
        self._refuse(message, Sort.QUERY, b"-- function call message", why)

    def _copy(self, message: Message) -> None:
        if message.kind in "SH":
            return  # the server ignores them while it takes data
        if message.kind not in "dcf":
            msg = f"a message {message.kind!r} came in the middle of COPY data"
            raise ProtocolError(msg)
        ends = message.kind in "cf"
        self._ledger.copying_in = not ends
        self._send(message.frame + (messages.FLUSH if ends else b""))

    def _forward(self, data: bytes, owed: Owed) -> None:
        self._ledger.expect(owed)
        self._send(data)

    def _send(self, data: bytes) -> None:
        """Small messages in a row go out as one piece."""
        last = self._out[-1] if self._out else None
        if isinstance(last, ToServer) and len(last.data) + len(data) <= SMALL:
            self._out[-1] = ToServer(last.data + data)
        else:
            self._out.append(ToServer(data))

    def _unknown(self, owed: Owed, what: str, name: bytes) -> None:
        code = notices.NO_PORTAL if what == "portal" else notices.NO_STATEMENT
        shown = name.decode("utf-8", "replace")
        text = f'interlock: {what} "{shown}" was not made by a message of this connection'
        self._replace(owed, code, text)

    def _stand_in(self, message: Message, sort: Sort, code: str, text: str) -> None:
        owed = Owed(sort, barrier=sort is Sort.QUERY)
        if sort is Sort.PARSE:
            owed.name = frontend.read_parse(message.body).name
        elif sort is Sort.BIND:
            owed.name = frontend.read_bind(message.body).portal
        self._replace(owed, code, text)

    def _replace(self, owed: Owed, code: str, text: str) -> None:
        self._forward(refusals.replacement(owed, code, text), owed)
        if owed.sort is not Sort.QUERY:
            self._ledger.skipping = True  # as the server will: what follows is not even judged

    def too_many_rows(self, refusal: Refusal) -> None:
        """A limited Execute ended before it could be stopped: make the server fail after all."""
        self._replace(Owed(Sort.BIND, barrier=True), refusal.code, refusal.message)
        self._send(messages.FLUSH)

    def follow(self, data: bytes, owed: Owed) -> None:
        """A message of our own, before any other of the client."""
        self._forward(data, owed)

    def _record(self, shown: bytes) -> None:
        self._out.append(Deliver(b"", self._told(shown)))

    def _told(self, shown: bytes) -> bytes:
        return self._mask.text(shown) if self._dbname is not None else b""
