"""Who is at the door: strangers, guests who may only log in, and the known; and how many of each.

A newcomer is never refused for the sake of those who have proven nothing: when there are too many
of them, the one that has not moved for the longest time has to go. A client that means it moves
from step to step within round trips, so thousands of half-open connections do not keep it out.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from broker.config.model import Limits
    from broker.model import Identity

UNPROVEN = 600  # strangers in all, and as many guests
UNPROVEN_OF_ONE = 200  # the same, from one address
MOVES = 6  # steps that count for one connection: nobody stays by dancing on the spot
SURPLUS = 100  # connections over a limit that are still told so in a sentence


class Connection(Protocol):
    """One connection, as far as counting goes."""

    @property
    def source(self) -> str:
        """The address that it comes from."""

    @property
    def identity(self) -> Identity | None:
        """Whose it is, once proven."""

    def disconnect(self, why: str) -> None:
        """End it."""


class Note(Protocol):
    """Puts into the audit log that a limit was reached."""

    def __call__(
        self, what: str, told: str, *, identity: Identity | None = None, source: str = ""
    ) -> None:
        """`what` is the limit's name, `told` the sentence."""


class Queue:
    """Connections that have proven nothing, by address, the least recently moved first."""

    def __init__(self, total: int = UNPROVEN, of_one: int = UNPROVEN_OF_ONE) -> None:
        self._total = total
        self._of_one = of_one
        self._sources: dict[str, OrderedDict[Connection, None]] = {}
        self._where: dict[Connection, str] = {}
        self._moves: dict[Connection, int] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._where))

    def __len__(self) -> int:
        return len(self._where)

    def add(self, connection: Connection) -> Connection | None:
        """Take one in; gives the one that has to go for it, who is out already."""
        source = connection.source
        self._where[connection] = source
        mine = self._sources.setdefault(source, OrderedDict())
        mine[connection] = None
        if len(mine) > self._of_one:
            return self._first_of(mine)
        if len(self._where) > self._total:
            return self._first_of(max(self._sources.values(), key=len))
        return None

    def moved(self, connection: Connection) -> None:
        """It came a step further."""
        source = self._where.get(connection)
        moves = self._moves.get(connection, 0)
        if source is not None and moves < MOVES:
            self._moves[connection] = moves + 1
            self._sources[source].move_to_end(connection)

    def remove(self, connection: Connection) -> None:
        """It is gone, or not unproven any longer."""
        source = self._where.pop(connection, None)
        if source is None:
            return
        self._moves.pop(connection, None)
        mine = self._sources[source]
        del mine[connection]
        if not mine:
            del self._sources[source]

    def _first_of(self, those: OrderedDict[Connection, None]) -> Connection:
        victim = next(iter(those))
        self.remove(victim)
        return victim


class Crowd:
    """Counts the connections of one port. `note` audits each limit that is reached.

    `elsewhere` says how many connections other nodes have: of an identity, and in all.
    """

    def __init__(
        self,
        limits: Callable[[], Limits],
        note: Note,
        elsewhere: Callable[[str], tuple[int, int]] = lambda _: (0, 0),
    ) -> None:
        self._elsewhere = elsewhere
        self._limits = limits
        self._note = note
        self._strangers = Queue()
        self._guests = Queue()
        self._known: defaultdict[str, set[Connection]] = defaultdict(set)
        self._surplus: set[Connection] = set()

    def __iter__(self) -> Iterator[Connection]:
        known = [one for several in list(self._known.values()) for one in several]
        return iter([*known, *self._surplus, *self._guests, *self._strangers])

    def counts(self) -> dict[str, int]:
        """How many connections each identity has here."""
        return {name: len(several) for name, several in self._known.items()}

    def arrived(self, connection: Connection) -> None:
        """Somebody who has proven nothing."""
        self._make_room(self._strangers.add(connection), "strangers")

    def moved(self, connection: Connection) -> None:
        """A stranger came a step further."""
        self._strangers.moved(connection)

    def admitted(self, connection: Connection) -> str:
        """Somebody proved a key or an identity; gives why they cannot stay, or nothing."""
        self._strangers.remove(connection)
        identity = connection.identity
        if identity is None:
            self._make_room(self._guests.add(connection), "guests")
            return ""
        told = self._too_many(identity, connection.source)
        if not told:
            self._known[str(identity)].add(connection)
        elif len(self._surplus) < SURPLUS:
            self._surplus.add(connection)
        else:
            connection.disconnect(told)
        return told

    def left(self, connection: Connection) -> None:
        """It is gone."""
        self._strangers.remove(connection)
        self._guests.remove(connection)
        self._surplus.discard(connection)
        name = str(connection.identity)
        if name in self._known:
            self._known[name].discard(connection)
            if not self._known[name]:
                del self._known[name]

    def _too_many(self, identity: Identity, source: str) -> str:
        limits = self._limits()
        theirs, others = self._elsewhere(str(identity))
        mine = theirs + len(self._known.get(str(identity), ()))
        if mine >= limits.connections_per_identity:
            told = f"you have {mine} connections open, which is the limit; close one first"
            self._note("connections_per_identity", told, identity=identity, source=source)
            return told
        known = others + sum(len(several) for several in self._known.values())
        if known >= limits.connections:
            told = f"the broker has {known} connections open, which is its limit; try later"
            self._note("connections", told, identity=identity, source=source)
            return told
        return ""

    def _make_room(self, victim: Connection | None, what: str) -> None:
        if victim is not None:
            told = "too many connections that have proven nothing"
            source = victim.source
            victim.disconnect(told)
            self._note(what, told, source=source)
