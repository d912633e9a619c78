"""The server's half: each answer is matched to what was asked, masked, bounded, then delivered.

An answer that does not fit what was asked means that we and the server disagree about where we
are; then nothing more is delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import Denied, ProtocolError
from broker.wire import bounds, messages, notices, transcript
from broker.wire.actions import CancelUpstream, Deliver, Settled
from broker.wire.bounds import Stage
from broker.wire.ledger import Refusal, Sort
from broker.wire.rows import read_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.ports import Mask
    from broker.wire.actions import Action
    from broker.wire.bounds import Guard
    from broker.wire.ledger import Ledger, Owed, Result
    from broker.wire.messages import Message
    from broker.wire.rows import RowMask, RowPlan

# When one of these changes, statements no longer mean what was judged.
PINNED = frozenset(
    {
        "client_encoding",
        "standard_conforming_strings",
        "is_superuser",
        "session_authorization",
        "default_transaction_read_only",
        "search_path",
    }
)

PLANS = 64  # descriptions of results that are remembered
NO_PATH = {"", '""'}  # then only pg_catalog's names mean anything without their schema

_RESULT = "TnDCIsHdc"  # what a result is made of
_STATES = frozenset({b"I", b"T", b"E"})  # idle, in a transaction, in a failed one
_PLAIN = {"1": Sort.PARSE, "2": Sort.BIND, "3": Sort.CLOSE}


class Answers:
    """Takes the server's messages apart and delivers what the person may see."""

    def __init__(
        self,
        ledger: Ledger,
        mask: RowMask,
        *,
        pinned: Mapping[str, str],
        transcribe: bool,
        too_many_rows: Callable[[Refusal], None],
        forward: Callable[[bytes, Owed], None],
    ) -> None:
        self._ledger = ledger
        self._mask = mask
        self._pinned = pinned
        self._transcribe = transcribe
        self._too_many_rows = too_many_rows
        self._forward = forward
        self._frames = messages.Frames(messages.FROM_SERVER)
        self._copy: Mask | None = None
        self._shown = bytearray()
        self._told = bytearray()
        self._plans: dict[tuple[bytes, bool], tuple[int, RowPlan, bytes]] = {}
        self._out: list[Action] = []
        self._by_kind: Mapping[str, Callable[[Message], None]] = {
            "T": self._columns,
            "n": self._columns,
            "t": self._parameters,
            "D": self._row,
            "C": self._completed,
            "I": self._completed,
            "s": self._completed,
            "Z": self._ready,
            "E": self._error,
            "N": self._notice,
            "A": self._notification,
            "S": self._status,
            "G": self._copy_in,
            "H": self._copy_out,
            "d": self._copy_data,
            "c": self._copy_done,
        }
        self.dying = False  # the server said a last word; it will close

    def feed(self, data: bytes) -> list[Action]:
        """Bytes of the server."""
        self._frames.feed(data)
        while True:
            if self._frames.begins("D") and self._rows():
                continue
            message = self._frames.next()
            if message is None:
                break
            self._handle(message)
        self._flush()
        out, self._out = self._out, []
        return out

    def _flush(self) -> None:
        if self._shown or self._told:
            self._out.append(Deliver(bytes(self._shown), bytes(self._told)))
            self._shown.clear()
            self._told.clear()

    def _deliver(self, data: bytes, told: bytes = b"") -> None:
        self._shown += data
        if self._transcribe and told:
            self._told += self._mask.text(told)

    def _handle(self, message: Message) -> None:
        kind, head = message.kind, self._ledger.head
        if head is not None and head.cut and kind in _RESULT:
            self._after_cut(head, kind)
        elif kind in _PLAIN:
            self._plain(message, _PLAIN[kind])
        elif kind in self._by_kind:
            self._by_kind[kind](message)
        else:
            raise self._unexpected(message)

    def _unexpected(self, message: Message) -> ProtocolError:
        head = self._ledger.head
        asked = "nothing" if head is None else head.sort.value
        return ProtocolError(f"the target answered {message.kind!r} when it was asked {asked}")

    def _head(self, message: Message, *sorts: Sort) -> Owed:
        """What this message answers; a refused message cannot succeed."""
        head = self._ledger.head
        if head is None or head.sort not in sorts or head.refusal is not None:
            raise self._unexpected(message)
        return head

    # -- answers without rows --------------------------------------------------------------------

    def _plain(self, message: Message, sort: Sort) -> None:
        self._head(message, sort)
        self._ledger.done()
        self._deliver(message.frame)

    def _parameters(self, message: Message) -> None:
        self._head(message, Sort.DESCRIBE_STATEMENT)
        body = messages.Body(message.body)
        body.take(4 * body.counted())
        body.end()
        self._deliver(message.frame)

    def _ready(self, message: Message) -> None:
        head = self._ledger.head
        if head is None or head.sort not in {Sort.QUERY, Sort.SYNC}:
            raise self._unexpected(message)
        if head.refusal is not None and not head.told:
            raise self._unexpected(message)
        self._copy = None
        if message.body not in _STATES:
            raise self._unexpected(message)
        status = message.body.decode("ascii")
        self._ledger.ready(status)
        following = bounds.after(head, status)
        if following is not None:
            self._forward(*following)
            return
        self._deliver(message.frame)
        self._flush()
        self._out.append(Settled(idle=message.body == b"I"))

    def _error(self, message: Message) -> None:
        fields = notices.read(message.body)
        self.dying = fields.get("V", fields.get("S")) in {b"FATAL", b"PANIC"}
        head = self._ledger.head
        self._copy = None
        guard = None if head is None else head.guard
        if guard is not None:
            guard.failed = True
        if head is not None and head.told:
            pass  # the client was told our error for it already
        elif guard is not None and guard.stage is Stage.ROLLBACK and not self.dying:
            pass  # tried again
        elif head is not None and head.refusal is not None and _ours(head.refusal, fields):
            self._refuse(head, head.refusal)
        else:
            shown = notices.masked(fields, self._mask.text, tainted=self._is_tainted(head))
            self._deliver(notices.write("E", shown), transcript.problem(shown))
        self._ledger.failed()

    def _is_tainted(self, head: Owed | None) -> bool:
        """May a text from the server quote masked columns? At a commit, of any statement before."""
        if head is None or head.sort is Sort.SYNC:
            return self._ledger.tainted
        return self._result(head).terms.tainted

    def _refuse(self, head: Owed, refusal: Refusal) -> None:
        told = transcript.line(f"ERROR:  {refusal.message}")
        self._deliver(notices.error(refusal.code, refusal.message), told)
        head.told = True

    # -- rows ------------------------------------------------------------------------------------

    def _result(self, head: Owed) -> Result:
        return head.result if head.portal is None else head.portal.result

    def _columns(self, message: Message) -> None:
        head = self._head(message, Sort.QUERY, Sort.DESCRIBE_STATEMENT, Sort.DESCRIBE_PORTAL)
        if head.sort is Sort.DESCRIBE_STATEMENT:
            self._ledger.done()
            self._deliver(message.frame)
            return
        result, told = self._result(head), b""
        result.plan = None
        if head.guard is not None:
            self._release(head.guard)
        if message.kind == "T":
            described = self._described(message.frame, tainted=result.terms.tainted)
            result.columns, result.plan, told = described
        if head.sort is Sort.DESCRIBE_PORTAL:
            self._ledger.done()
        if not head.hidden:
            self._deliver(message.frame, told)

    def _described(self, frame: bytes, *, tainted: bool) -> tuple[int, RowPlan, bytes]:
        """How many columns, how to mask them, and their names; drivers ask again and again."""
        known = self._plans.get((frame, tainted))
        if known is None:
            columns = read_columns(frame[5:])
            plan = self._mask.plan(columns, tainted=tainted)
            told = transcript.row([column.name.encode() for column in columns])
            known = len(columns), plan, told
            if len(self._plans) >= PLANS:
                self._plans.clear()
            self._plans[frame, tainted] = known
        return known

    def _rows(self) -> bool:
        """Take the rows that are here as one block: masked, told and delivered at once."""
        head = self._ledger.head
        if head is None or head.sort not in {Sort.QUERY, Sort.EXECUTE}:
            return False
        if head.cut or head.refusal is not None:
            return False
        result = self._result(head)
        if result.plan is None:
            return False
        left = None
        if result.terms.max_rows is not None:
            left = max(0, result.terms.max_rows - result.rows)
        count, block = self._frames.run("D", left)
        result.rows += count
        if count:
            self._block(result.plan, result.columns, block)
        return bool(count)

    def _block(self, plan: RowPlan, columns: int, block: bytes) -> None:
        if plan.active:
            block = plan.rows(block)
        self._shown += block
        if self._transcribe:
            self._told += transcript.rows(block, columns)

    def _row(self, message: Message) -> None:
        """A row that was not taken with its block: one too many, or one that nobody asked for."""
        head = self._head(message, Sort.QUERY, Sort.EXECUTE)
        result = self._result(head)
        if result.plan is None:
            raise self._unexpected(message)
        if self._within(head, result):
            self._block(result.plan, result.columns, message.frame)

    def _within(self, head: Owed, result: Result) -> bool:
        """Count one more row; one too many cuts the result off."""
        limit = result.terms.max_rows
        if limit is not None and result.rows >= limit:
            text = f"interlock: more than {limit} rows, which is the limit here; narrow the query"
            self._cut(head, Refusal(notices.TOO_MANY_ROWS, text))
            return False
        result.rows += 1
        return True

    def _cut(self, head: Owed, refusal: Refusal) -> None:
        """Deliver no more of this result, stop the statement, and tell why in its place."""
        head.cut, head.refusal = True, refusal
        self._copy = None
        self._ledger.cancelling += 1
        self._out.append(CancelUpstream())

    def _after_cut(self, head: Owed, kind: str) -> None:
        """Swallow what still comes of a result that was cut off before it was stopped."""
        if kind not in "CIs" or head.refusal is None:
            return
        if head.sort is Sort.EXECUTE:
            self._ledger.done()
            self._too_many_rows(head.refusal)
        elif not head.told:
            self._refuse(head, head.refusal)

    def _completed(self, message: Message) -> None:
        head = self._head(message, Sort.QUERY, Sort.EXECUTE)
        if message.kind == "C" and message.body.find(0) != len(message.body) - 1:
            raise self._unexpected(message)
        if head.sort is Sort.EXECUTE:
            self._ledger.done()
        else:
            head.result.plan = None
        told = transcript.tag(message.body) if message.kind == "C" else b""
        if head.declares is not None and message.body == b"DECLARE CURSOR\0":
            self._ledger.fetched.pop(head.declares, None)
        undo = bounds.over(message.body, head.result)
        if head.guard is not None and head.guard.stage is not Stage.RUN:
            undo = None  # that is our own COMMIT
        if undo is not None:
            self._flush()
            self._out.append(undo)
        if head.guard is not None:
            if undo is not None:
                head.guard.refusal = bounds.refusal(undo)
            self._guarded(head, head.guard, message, told)
        elif undo is not None:
            self._too_many_rows(bounds.refusal(undo))
        else:
            self._deliver(message.frame, told)

    def _release(self, guard: Guard) -> None:
        self._deliver(guard.kept, guard.told)
        guard.kept = guard.told = b""

    def _guarded(self, head: Owed, guard: Guard, message: Message, told: bytes) -> None:
        """A bounded write has ended, or what we put around it."""
        if guard.stage is Stage.RUN:
            if guard.own:
                self._release(guard)  # of a statement before it in the same text
                guard.kept, guard.told = message.frame, told
            elif guard.refusal is not None:
                self._refuse(head, guard.refusal)
            else:
                self._deliver(message.frame, told)
        elif guard.stage is Stage.ROLLBACK and guard.refusal is not None and not guard.said:
            guard.said = True
            self._refuse(head, guard.refusal)
        elif guard.stage is Stage.COMMIT and message.body == b"COMMIT\0":
            self._release(guard)
        elif guard.stage is Stage.COMMIT:
            raise self._unexpected(message)

    # -- COPY ------------------------------------------------------------------------------------

    def _copy_in(self, message: Message) -> None:
        self._head(message, Sort.QUERY, Sort.EXECUTE)
        _copy_format(message)
        if not self._ledger.copies_in():
            msg = "COPY FROM STDIN cannot be followed by other messages in a pipeline"
            raise ProtocolError(msg)
        self._deliver(message.frame)

    def _copy_out(self, message: Message) -> None:
        head = self._head(message, Sort.QUERY, Sort.EXECUTE)
        if _copy_format(message):
            text = "interlock: COPY in binary format cannot be masked; use the text format"
            self._cut(head, Refusal(notices.DENIED, text))
        elif self._result(head).terms.tainted:
            text = "interlock: COPY of masked columns cannot be masked; use SELECT"
            self._cut(head, Refusal(notices.DENIED, text))
        else:
            self._copy = self._mask.copy_stream()
            self._deliver(message.frame)

    def _copy_data(self, message: Message) -> None:
        head = self._head(message, Sort.QUERY, Sort.EXECUTE)
        if self._copy is None:
            raise self._unexpected(message)
        if self._within(head, self._result(head)):
            self._copied(self._copy.feed(message.body))

    def _copy_done(self, message: Message) -> None:
        self._head(message, Sort.QUERY, Sort.EXECUTE)
        if self._copy is None:
            raise self._unexpected(message)
        self._copied(self._copy.close())
        self._copy = None
        self._deliver(message.frame)

    def _copied(self, data: bytes) -> None:
        if data:
            self._shown += messages.frame("d", data)
            if self._transcribe:
                self._told += b"".join(
                    map(transcript.line, data.decode("utf-8", "replace").splitlines())
                )

    # -- what comes unasked ----------------------------------------------------------------------

    def _notice(self, message: Message) -> None:
        head, fields = self._ledger.head, notices.read(message.body)
        shown = notices.masked(fields, self._mask.text, tainted=self._is_tainted(head))
        self._deliver(notices.write("N", shown), transcript.problem(shown))

    def _notification(self, message: Message) -> None:
        body = messages.Body(message.body)
        pid, channel, payload = body.int32(), body.cstring(), body.cstring()
        body.end()
        masked = messages.cstring(self._mask.text(channel)) + messages.cstring(
            self._mask.text(payload)
        )
        self._deliver(messages.frame("A", messages.int32(pid) + masked))

    def _status(self, message: Message) -> None:
        body = messages.Body(message.body)
        name, value = body.text(), body.text()
        body.end()
        moved = name in PINNED and value != self._pinned.get(name, value)
        if moved and not (name == "search_path" and value in NO_PATH):
            msg = f"the pinned setting {name} was changed"
            raise Denied(msg)
        shown = self._mask.text(value.encode()).decode("utf-8", "replace")
        self._deliver(messages.parameter_status(name, shown))


def _copy_format(message: Message) -> int:
    """0 for text, 1 for binary; the columns' own formats follow."""
    body = messages.Body(message.body)
    binary = body.take(1)[0]
    body.take(2 * body.counted())
    body.end()
    return binary


def _ours(refusal: Refusal, fields: notices.Fields) -> bool:
    """Is this error the one that our refusal stands in for?"""
    if refusal.marker:
        return any(refusal.marker in text for text in fields.values())
    return fields.get("V", fields.get("S")) == b"ERROR"
