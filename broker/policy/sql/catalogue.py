"""What a target's own catalogue says, as values: what a name of it reads, writes and runs.

An edge loads it (`broker.postgres.lookup`); `resolve` uses it. Names are as Facts have them:
``schema.name``, quoted where a dot would be ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from broker.policy.sql.names import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.policy.sql.walk import Made


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or sequence.

    `query` is what a view selects; `rules` are the texts of its CREATE RULE; `instead` the
    functions of INSTEAD OF triggers. `parts` are partitions, `children` tables that inherit, and
    `parents` what it is itself a partition or a child of.
    """

    kind: str = "r"
    query: str = ""
    rules: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Routine:
    """One function: several may share a name.

    `body` is its text when that is SQL which can be read as such. `row` says that it can be
    called with a row and nothing else, as ``t.name``.
    """

    language: str
    volatility: str
    body: str = ""
    definer: bool = False
    open: bool = True
    row: bool = False

    @property
    def computes(self) -> bool:
        """Does it only compute? Code in C that was declared so; only a superuser can make it."""
        compiled = self.language in {"c", "internal"}
        return compiled and self.volatility == "i" and self.open and not self.definer


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was found in a target's database, and `version`, which is the same for the same content.

    `operators` are those of somebody's own by name (``+`` in public, else ``schema.+``), each with
    the functions behind it; `types` those that run functions when a value is cast to them.
    `dangerous` are PostgreSQL's own functions that are not harmless. Found from these: `hiding`,
    functions in public with the name of a harmless one of PostgreSQL's own, and `of_rows`, those
    in public that can be called as a field of a row.
    """

    version: str = ""
    relations: Mapping[str, Relation] = field(default_factory=dict)
    routines: Mapping[str, tuple[Routine, ...]] = field(default_factory=dict)
    operators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dangerous: frozenset[str] = frozenset()
    hiding: frozenset[str] = field(default=frozenset(), init=False)
    of_rows: frozenset[str] = field(default=frozenset(), init=False)

    def __post_init__(self) -> None:
        """Find what would be asked for again and again."""
        public = {
            name.removeprefix("public."): found
            for name, found in self.routines.items()
            if name.startswith("public.")
        }
        rows = {name for name, found in public.items() if any(each.row for each in found)}
        object.__setattr__(self, "hiding", frozenset(public) & HARMLESS)
        object.__setattr__(self, "of_rows", frozenset(rows))


MAX_MADE = 5000
_serials = count(1)


class Overlay:
    """What a session itself gave a new meaning to, which no look-up can see before it commits.

    It is never taken back while the session lives: a name then stands for both meanings, the old
    and the new, and a statement has to be allowed for each. `version` grows with what is noted.
    """

    def __init__(self) -> None:
        self.made: dict[Made, None] = {}
        self._prepared: dict[str, bool] = {}  # by PREPARE: is it free to run at any time?
        self._changes = 0
        self._serial = next(_serials)

    def note(self, made: tuple[Made, ...]) -> None:
        """A statement that makes these may run."""
        before = len(self.made)
        self.made |= dict.fromkeys(made)
        self._changes += len(self.made) - before

    def prepare(self, names: tuple[str, ...], *, free: bool) -> None:
        """Statements were given names; `free` when they may run without asking anybody.

        A name that ever stood for one that may not is not trusted again: the next PREPARE of it
        may have failed.
        """
        for name in names:
            known = self._prepared.get(name, free) and free
            if self._prepared.get(name) is not known:
                self._prepared[name] = known
                self._changes += 1

    def may_execute(self, name: str) -> bool:
        """Was all that this name may stand for allowed when it was prepared?"""
        return self._prepared.get(name, False)

    @property
    def version(self) -> tuple[int, int]:
        """Tells apart what sessions did, and when."""
        return (self._serial, self._changes) if self._changes else (0, 0)

    @property
    def full(self) -> bool:
        """Has the session made more than can be kept in mind?"""
        return len(self.made) + len(self._prepared) > MAX_MADE
