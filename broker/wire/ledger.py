"""What the server still owes an answer to, and which statement each name stands for.

The server answers in the order it was asked. After an error in the extended protocol it ignores
everything up to the next Sync, and so do we. Names are kept twice: `known` is what the server
has confirmed, `expected` what it will have if all that is under way succeeds, which is how the
client's later messages read them. An error throws the expectations away.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.model import Statement
    from broker.wire.bounds import Guard
    from broker.wire.rows import RowPlan


@dataclass(frozen=True, slots=True)
class Approved:
    """What people let run: the statement with its values, by which rule and review."""

    statement: Statement
    rule: str
    review: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a verdict demands of a statement's rows.

    `later`: it goes on with what other statements began (FETCH, COMMIT), so theirs count too.
    """

    max_rows: int | None = None
    tainted: bool = False
    later: bool = False
    max_affected: int | None = None
    undo: bool = False  # it writes, so it must be undone when its rows are cut off
    approved: Approved | None = None  # what `max_affected` was approved for

    @property
    def bounded(self) -> bool:
        """May it have to be stopped or undone?"""
        return self.max_rows is not None or self.max_affected is not None


@dataclass(slots=True, eq=False)
class Prepared:
    """One statement that the server has parsed. `deferred`: each run needs its own approval."""

    text: str
    words: frozenset[str]  # of commands that concern names and COPY
    terms: Terms = Terms()
    deferred: bool = False
    types: tuple[int, ...] = ()  # of its values, as far as the client says
    void: bool = False  # SQL may have put something else behind its name


@dataclass(slots=True)
class Result:
    """The rows of one statement under way."""

    terms: Terms = Terms()
    columns: int = 0
    plan: RowPlan | None = None
    rows: int = 0


@dataclass(slots=True, eq=False)
class Portal:
    """A statement with its values, ready to run. `described` is when its rows were planned."""

    prepared: Prepared
    result: Result
    shown: bytes = b""  # what the transcript says when it runs
    described: int = -1
    void: bool = False
    word: str = "allow"  # the verdict on it, as people read it


class Sort(Enum):
    """What kind of answer is owed."""

    QUERY = "Query"
    PARSE = "Parse"
    BIND = "Bind"
    DESCRIBE_STATEMENT = "Describe of a statement"
    DESCRIBE_PORTAL = "Describe of a portal"
    EXECUTE = "Execute"
    CLOSE = "Close"
    SYNC = "Sync"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of ours that stands in for the server's own answer.

    Without a `marker` any error of the server is replaced by it, with one only the error that
    quotes the marker: another error came from somewhere else and is told as it is.
    """

    code: str
    message: str
    marker: bytes = b""


@dataclass(slots=True, eq=False)
class Owed:
    """One answer that the server owes."""

    sort: Sort
    name: bytes = b""
    what: str = ""  # of a Close: S or P
    prepared: Prepared | None = None
    portal: Portal | None = None
    result: Result = field(default_factory=Result)
    refusal: Refusal | None = None
    hidden: bool = False  # asked for by us; the client does not see the answer
    barrier: bool = False  # nothing else goes to the server before this is answered
    cut: bool = False  # over its row bound: the rest is swallowed
    told: bool = False  # our error for it was delivered
    guard: Guard | None = None  # of a bounded write
    declares: str | None = None  # the cursor that begins with it


T = TypeVar("T", Prepared, Portal)


class Names(Generic[T]):
    """What each name stands for: confirmed by the server, and expected."""

    def __init__(self) -> None:
        self.known: dict[bytes, T] = {}
        self.expected: dict[bytes, T] = {}

    def find(self, name: bytes) -> T | None:
        """What the client means by this name now."""
        found = self.expected.get(name)
        return None if found is None or found.void else found

    def set(self, name: bytes, value: T | None, *, known: bool) -> None:
        """Let a name stand for something, or for nothing."""
        names = self.known if known else self.expected
        if value is None:
            names.pop(name, None)
        else:
            names[name] = value

    def void(self, under_way: Iterable[T | None]) -> None:
        """Trust no name any more, except those that come to be after this."""
        for value in (*self.known.values(), *self.expected.values(), *under_way):
            if value is not None:
                value.void = True


RAN = 50  # statements of a transaction that are remembered


class Ledger:
    """The order of things between one client and one server."""

    def __init__(self) -> None:
        self.owed: deque[Owed] = deque()
        self.statements: Names[Prepared] = Names()
        self.portals: Names[Portal] = Names()
        self.skipping = False  # after an error, until the client's next Sync
        self.copying_in = False
        self.status = "I"  # of the transaction, as last told; "" when something has run since
        self.cancelling = 0  # cancel requests under way; one may hit what runs next
        self.epoch = 0  # counts what has run: a portal may have been changed by SQL since
        self.fetched: dict[str, Result] = {}  # the latest slice of each cursor whose rows count
        self.ran: deque[tuple[str, str]] = deque(maxlen=RAN)  # in this transaction: verdict, text
        self._all = Terms()  # the strictest of every statement so far

    @property
    def tainted(self) -> bool:
        """Has any statement read masked columns?"""
        return self._all.tainted

    def note(self, terms: Terms) -> None:
        """A statement with these terms may run from now on."""
        bounds = [each for each in (self._all.max_rows, terms.max_rows) if each is not None]
        self._all = Terms(min(bounds, default=None), self._all.tainted or terms.tainted)

    def result(self, terms: Terms) -> Result:
        """The rows of a statement that is about to run: what ran before it counts as of now."""
        return Result(replace(self._all, later=True) if terms.later else terms)

    def carry(self, cursor: str, result: Result) -> None:
        """Rows of one cursor count together, in however many slices they are fetched."""
        earlier = [self.fetched.get(cursor)] if cursor else list(self.fetched.values())
        portal = self.portals.find(cursor.encode())
        earlier += [portal.result] if portal is not None and cursor else []
        result.rows = max(result.rows, *(each.rows for each in earlier if each is not None), 0)
        self.fetched[cursor] = result

    @property
    def head(self) -> Owed | None:
        """What the server answers next."""
        return self.owed[0] if self.owed else None

    @property
    def blocked(self) -> bool:
        """Must the client's next message wait for the server?"""
        return bool(self.cancelling or (self.owed and self.owed[-1].barrier))

    @property
    def deferred(self) -> bool:
        """Is there a parsed statement with a name that nobody approved yet?"""
        return any(prepared.deferred for name, prepared in self._statements() if name)

    def expect(self, owed: Owed) -> None:
        """Something was sent that will be answered."""
        self.owed.append(owed)
        if owed.sort is Sort.EXECUTE:
            self.status = ""
        if owed.refusal is None:
            self._note(owed, known=False)

    def done(self) -> Owed:
        """The head was answered, and well."""
        owed = self.owed.popleft()
        self._note(owed, known=True)
        return owed

    def failed(self) -> None:
        """The head failed: in the extended protocol all up to the next Sync is ignored."""
        head = self.head
        self.copying_in = False
        if head is None or head.sort in {Sort.QUERY, Sort.SYNC}:
            return
        if head.sort is Sort.PARSE and not head.name:
            self.statements.set(b"", None, known=True)  # the server forgets it before it parses
        while self.owed and self.owed[0].sort is not Sort.SYNC:
            self.owed.popleft()
        self.skipping = not self.owed
        self._expect_again()

    def ready(self, status: str) -> None:
        """The server is ready again: outside a transaction no portal lives on."""
        self.owed.popleft()
        self.copying_in = False
        self.status = status
        if status == "I":
            self.ran.clear()
            self.portals.known.clear()
            self._expect_again()

    def copies_in(self) -> bool:
        """COPY FROM STDIN begins: the server ignores a Sync sent along. False: more was sent."""
        self.copying_in = True
        while self.owed and self.owed[-1].sort is Sort.SYNC:
            self.owed.pop()
        return len(self.owed) == 1

    def void_statements(self) -> None:
        """SQL may define statement names: none that was prepared so far is trusted."""
        self.statements.void(owed.prepared for owed in self.owed)

    def void_portals(self) -> None:
        """SQL may define portal names (cursors): none that was bound so far is trusted."""
        self.portals.void(owed.portal for owed in self.owed if owed.sort is Sort.BIND)

    def _expect_again(self) -> None:
        self.statements.expected = dict(self.statements.known)
        self.portals.expected = dict(self.portals.known)
        for owed in self.owed:
            if owed.refusal is None:
                self._note(owed, known=False)

    def _note(self, owed: Owed, *, known: bool) -> None:
        if owed.sort is Sort.PARSE:
            self.statements.set(owed.name, owed.prepared, known=known)
        elif owed.sort is Sort.BIND:
            self.portals.set(owed.name, owed.portal, known=known)
        elif owed.sort is Sort.CLOSE and owed.what == "S":
            self.statements.set(owed.name, None, known=known)
        elif owed.sort is Sort.CLOSE:
            self.portals.set(owed.name, None, known=known)

    def _statements(self) -> Iterable[tuple[bytes, Prepared]]:
        yield from self.statements.known.items()
        for owed in self.owed:
            if owed.sort is Sort.PARSE and owed.prepared is not None:
                yield owed.name, owed.prepared
