"""Through the names of a text to what they stand for in the target's catalogue.

    view            reads what its query reads and runs; writing it writes the table behind it
    rule            adds what its commands do to each use of its event
    partition       goes along with its table, and its table with it: what denies one, denies it
    child           of INHERITS is read and changed with its parent, and needs a rule of its own
    function        of the target: explicit, unless it only computes; one in SQL is what it does
    operator, cast  of the target, a field that is a call, an overload of a built-in name: likewise
    unknown         what is not in the catalogue is not guessed: a rule has to name it

Triggers, defaults, generated columns, CHECK and row security belong to their table: whoever may
write the table sets them off.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from broker.errors import Unparsable
from broker.model import Facts, Part
from broker.policy.sql import grammar, names
from broker.policy.sql.catalogue import Overlay, Relation
from broker.policy.sql.reading import MAX_PARTS, Reading, read, read_nodes
from broker.policy.sql.walk import PREPARED, UNNAMED_COLUMN, UNNAMED_FIELD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from broker.policy.sql.catalogue import Catalogue, Routine
    from broker.policy.sql.reading import Named
    from broker.policy.sql.walk import Made

WRITES = frozenset({"insert", "update", "delete", "merge", "copy_from"})
READS = frozenset({"select", "copy_to", "refresh"})
USES = WRITES | READS | {"lock", "explain", "truncate"}
TO_CHILDREN = frozenset(
    {"select", "update", "delete", "merge", "lock", "explain", "copy_to"}
    | {"truncate", "alter", "drop", "vacuum", "analyze"}
)
TO_PARTITIONS = TO_CHILDREN | {"insert", "copy_from"}
MAX_ALONG = 20_000  # partitions of all tables of one text
MAX_STEPS = 50_000  # names looked up for one text

NONE: frozenset[str] = frozenset()
UNKNOWN = "the target's catalogue has no such table"
UNREADABLE = "what is behind it could not be read"


def resolve(reading: Reading, catalogue: Catalogue, overlay: Overlay | None = None) -> Facts:
    """What a text does on this target; Unparsable when that is too much to tell."""
    if overlay is not None and overlay.full:
        msg = "this session has made too many names; begin another"
        raise Unparsable(msg)
    return _Resolution(catalogue, overlay or Overlay(), reading.made).run(reading)


class _Resolution:
    """One text on its way through the catalogue."""

    def __init__(self, catalogue: Catalogue, overlay: Overlay, made: Iterable[Made]) -> None:
        self._catalogue = catalogue
        self._overlay = overlay
        self._made: dict[str, list[Made]] = {}
        for each in (*overlay.made, *made):
            self._made.setdefault(each.name, []).append(each)
        self._parts: list[Part] = []
        self._kept: set[Part] = set()
        self._queue: list[Part] = []
        self._seen: set[Part] = set()
        self._read: set[tuple[str, str]] = set()  # texts of views and functions
        self._own = 0  # parts that need a rule of their own

    def run(self, reading: Reading) -> Facts:
        """Every part, and every part behind it."""
        self._queue.extend(reading.parts)
        self._implicit(reading)
        for steps, part in enumerate(self._queue):  # it grows while it is walked
            if part.table is not None:
                self._table(part, part.table)
            elif part.function is not None:
                self._function(part, part.function)
            elif part.action == "execute" and part.object is not None:
                self._execute(part, part.object.removeprefix(PREPARED))
            else:
                self._keep(part)
            if self._own > MAX_PARTS or steps > MAX_STEPS or len(self._parts) > MAX_ALONG:
                msg = f"the text does more than {MAX_PARTS} different things"
                raise Unparsable(msg)
        return Facts(tuple(self._parts))

    def _keep(self, part: Part) -> None:
        plain = replace(part, why="") if part.why else part
        if plain not in self._kept:
            self._kept.add(plain)
            self._parts.append(part)
            self._own += not part.along

    def _push(self, part: Part) -> None:
        if part not in self._seen:
            self._seen.add(part)
            self._queue.append(part)

    def _take(
        self, reading: Reading, why: str, *, explain: bool = False, without: frozenset[str] = NONE
    ) -> None:
        """All that a text inside another says, with the reason; `without` reading these tables."""
        for part in reading.parts:
            if not (part.table or part.function or part.object):
                continue
            if part.table in without and part.action == "select":
                continue
            told = part if part.implied else replace(part, why=part.why or why)
            self._push(told)
            if explain and part.table is not None:
                self._push(replace(told, action="explain", unbounded=False))
        self._implicit(reading)

    def _execute(self, part: Part, name: str) -> None:
        """EXECUTE of what was allowed when it was prepared asks for nothing more."""
        free = self._overlay.may_execute(name)
        self._keep(replace(part, explicit=False, implied=True) if free else part)

    # -- tables ----------------------------------------------------------------------------------

    def _table(self, part: Part, name: str) -> None:
        relation, made = self._catalogue.relations.get(name), self._made.get(name, ())
        action = part.action or ""
        if relation is None and not made:
            unknown = action in USES and not part.implied and not _is_system(name)
            self._keep(replace(part, explicit=True, why=UNKNOWN) if unknown else part)
            return
        self._keep(part)
        if relation is not None:
            self._related(part, action, name, relation)
        if action in USES:
            for each in made:
                for added in each.adds:
                    self._push(replace(added, why=added.why or _through(name)))
                for other in each.stands:
                    self._push(_same(part, other, f"{name} stands for it"))

    def _related(self, part: Part, action: str, name: str, relation: Relation) -> None:
        if relation.query and action in USES:
            self._view(part, action, name, relation)
        if relation.rules and action in WRITES:
            self._rules(action, name, relation)
        if action in TO_PARTITIONS:
            for each in relation.partitions:
                self._along(part, each, f"a partition of {name}", down=True)
        if action in TO_CHILDREN:
            for each in relation.children:
                child = _same(part, each, f"it inherits from {name}")
                self._push(replace(child, along=part.along))
        for each in relation.parents:
            self._along(part, each, f"{name} is a part of it", down=False)

    def _along(self, part: Part, name: str, why: str, *, down: bool) -> None:
        """A part to which only a rule that denies or reviews it makes a difference."""
        found = Part(part.action, name, unbounded=part.unbounded, along=True, why=why)
        if replace(found, why="") in self._kept:
            return
        self._keep(found)
        relation = self._catalogue.relations.get(name, Relation())
        for each in relation.partitions if down else relation.parents:
            self._along(part, each, why, down=down)

    def _view(self, part: Part, action: str, name: str, relation: Relation) -> None:
        """What a view reads is read whatever is done with it; what is written is behind it."""
        query = _text(relation.query)
        if query is None:
            self._push(Part(part.action, object=f"view {name}", explicit=True, why=UNREADABLE))
            return
        behind = frozenset(_base_of(relation.query)) if action in WRITES else NONE
        key = (relation.query, action if action in WRITES | {"explain"} else "select")
        if key not in self._read:
            self._read.add(key)
            self._take(query, _through(name), explain=action == "explain", without=behind)
        if action == "lock":
            for table in _tables(query):
                self._push(_same(part, table, _through(name)))
        if action in WRITES:
            self._write_view(part, action, name, relation)

    def _write_view(self, part: Part, action: str, name: str, relation: Relation) -> None:
        for called in relation.instead:
            self._push(Part(part.action, function=called, explicit=True, why=_through(name)))
        if relation.instead or any(_replaces(rule, action) for rule in relation.rules):
            return
        for table in _base_of(relation.query):
            self._push(_same(part, table, f"{name} stands for it"))

    def _rules(self, action: str, name: str, relation: Relation) -> None:
        for text in relation.rules:
            found = _rule(text)
            if found is None:
                self._push(Part(action, object=f"rule on {name}", explicit=True, why=UNREADABLE))
            elif found.event == action or action in {"merge", "copy_from"}:
                self._take(found.reading, f"a rule on {name} does it")

    # -- functions -------------------------------------------------------------------------------

    def _function(self, part: Part, name: str) -> None:
        """A function that was named: harmless, one of the target's, or a danger."""
        if part.why in {UNNAMED_COLUMN, UNNAMED_FIELD}:
            self._field(part, name)
        elif part.implied or name in self._catalogue.dangerous:
            self._keep(part)
        elif name.startswith("operator "):
            self._operator(part, name.removeprefix("operator "))
        else:
            self._routines(part, name, name if "." in name else f"public.{name}")

    def _field(self, part: Part, name: str) -> None:
        """A name after a dot: only a call when there is such a function."""
        if name in self._catalogue.dangerous:
            self._keep(part)
        elif self._has(f"public.{name}"):
            self._routines(part, name, f"public.{name}")

    def _has(self, full: str) -> bool:
        return full in self._catalogue.routines or full in self._made

    def _routines(self, part: Part, told: str, full: str) -> None:
        """Every function of that name; what one in SQL does stands for its call."""
        found = self._catalogue.routines.get(full, ())
        bodies = [_body(routine) for routine in found]
        if not found or full in self._made or None in bodies:
            self._keep(replace(part, function=told, explicit=True, implied=False))
            return
        self._keep(replace(part, function=told, explicit=False, implied=True, why=""))
        for routine, body in zip(found, bodies, strict=True):
            key = (routine.body, "call")
            if body is not None and key not in self._read:
                self._read.add(key)
                self._take(body, f"function {full} does it")

    def _operator(self, part: Part, name: str) -> None:
        behind = self._catalogue.operators.get(name, ())
        if not behind or any(not self._computes(each) for each in behind):
            self._keep(part)
        else:
            self._keep(replace(part, explicit=False, implied=True))

    def _computes(self, full: str) -> bool:
        """Is every function of this name free of effects, and not made in this session?"""
        if full in self._made:
            return False
        if full not in self._catalogue.routines:  # PostgreSQL's own
            return "." not in full and names.function([full])[1]
        return all(_is_harmless(routine) for routine in self._catalogue.routines[full])

    # -- calls that nobody wrote as such ---------------------------------------------------------

    def _implicit(self, reading: Reading) -> None:
        for part in self._hidden(reading):
            self._push(part)

    def _hidden(self, reading: Reading) -> Iterator[Part]:
        catalogue = self._catalogue
        for action, name in sorted(reading.calls):
            hidden = name in catalogue.hiding or (f"public.{name}" in self._made)
            if hidden and names.function([name])[1]:
                why = "public has a function of the name of one of PostgreSQL's own"
                yield Part(action, function=f"public.{name}", explicit=True, why=why)
        for action, name, _ in sorted(reading.fields) if catalogue.of_rows else ():
            if name in catalogue.of_rows:
                why = "a name after a dot calls the function of that name with the row"
                yield Part(action, function=f"public.{name}", explicit=True, why=why)
        joins = {
            (each.action or "", "=") for each in reading.parts if each.table
        }  # USING, CASE, IN
        yield from self._behind(reading.operators | joins, catalogue.operators, "operator ")
        yield from self._behind(reading.types, catalogue.types, "cast to ")

    def _behind(
        self, used: Named, known: Mapping[str, tuple[str, ...]], noun: str
    ) -> Iterator[Part]:
        if not known and not self._made:
            return
        for action, name in sorted(used):
            full = name if name in known or noun == "operator " else f"public.{name}"
            for called in known.get(full, ()):
                if not self._computes(called):
                    yield Part(action, function=called, explicit=True, why=f"{noun}{name} calls it")
            if f"{noun}{name}" in self._made:
                yield Part(action, function=f"{noun}{name}", explicit=True, why="made just now")


def _is_system(name: str) -> bool:
    return names.is_system(name.partition(".")[0])


def _through(name: str) -> str:
    return f"{name} reads it"


def _same(part: Part, table: str, why: str) -> Part:
    """The same done to another table."""
    return Part(part.action, table, unbounded=part.unbounded, why=why)


# -- the texts in a catalogue, read once ----------------------------------------------------------


@lru_cache(maxsize=2048)
def _text(text: str) -> Reading | None:
    try:
        return read(text)
    except Unparsable:
        return None


def _tables(reading: Reading) -> list[str]:
    return [part.table for part in reading.parts if part.table is not None]


@lru_cache(maxsize=2048)
def _base_of(query: str) -> tuple[str, ...]:
    """The table that writing a view writes; when it is not plain which, all that it reads."""
    try:
        (select,) = grammar.parse(query)
        (source,) = select["SelectStmt"]["fromClause"]
        return (names.dotted(*names.relation(source["RangeVar"])),)
    except (KeyError, ValueError):
        found = _text(query)
        return tuple(_tables(found)) if found is not None else ()


class _Rule:
    """A rule of a table, read: its event, whether it stands in for the command, what it does."""

    def __init__(self, body: grammar.Node) -> None:
        self.event = str(body["event"]).removeprefix("CMD_").lower()
        self.replaces = body.get("instead", False) and "whereClause" not in body
        condition = [body["whereClause"]] if "whereClause" in body else []
        self.reading = read_nodes([*body.get("actions", []), *condition])


@lru_cache(maxsize=2048)
def _rule(text: str) -> _Rule | None:
    try:
        (tree,) = grammar.parse(text)
        return _Rule(tree["RuleStmt"])
    except (Unparsable, KeyError, ValueError):
        return None


def _replaces(text: str, action: str) -> bool:
    found = _rule(text)
    return found is not None and found.event == action and found.replaces


NOTHING = Reading()


def _body(routine: Routine) -> Reading | None:
    """What a call amounts to, or None when that cannot be told."""
    if routine.computes:
        return NOTHING
    if routine.language != "sql" or routine.definer or not routine.body:
        return None
    return _text(routine.body)


def _is_harmless(routine: Routine) -> bool:
    """Does a call run nothing that a rule would have to cover?"""
    body = _body(routine)
    if body is None:
        return False
    plain = all(
        part.implied or not (part.table or part.function or part.object) for part in body.parts
    )
    reads_only = all(part.action == "select" for part in body.parts)
    return plain and reads_only and not (body.calls or body.operators or body.fields or body.types)
