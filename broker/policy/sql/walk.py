"""The walk over a parse tree: what is met becomes parts; what is not understood stays strict.

Nodes are visited outer first, from a queue and not by recursion, so that depth costs no stack.
A node with a handler is its handler's business; any other node is walked through, and a table or
function that turns up in it is still found, because tables and functions are known by their shape
wherever they stand.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from broker.model import Part
from broker.policy.sql import names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from broker.policy.sql.grammar import Json, Node

Handler: TypeAlias = "Callable[[Walk, Node, Context], None]"

UNNAMED_COLUMN = (
    "a field of a function's result can be a call of another function;"
    " name the columns in the alias, as in f() AS f(a, b)"
)
UNNAMED_FIELD = "(value).name can be a call of the function of that name"


@dataclass(frozen=True, slots=True)
class Context:
    """Where in a statement a node stands.

    `action` is what calls functions here, `reads` what naming a table here does to it, `ctes` the
    names that WITH has taken from tables, `top` whether a SELECT here is the statement itself.
    """

    action: str = "select"
    reads: str = "select"
    ctes: frozenset[str] = frozenset()
    top: bool = True

    def within(self, action: str) -> Context:
        """The context of what stands inside a query of this action."""
        return replace(self, action=action, reads="select", top=False)


class Walk:
    """Collects the parts of one statement while its tree is walked."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.parts: dict[Part, None] = {}
        self._handlers = handlers
        self._queue: deque[tuple[Json, Context]] = deque()
        self._mentioned: dict[str, None] = {}
        self._results: dict[str, frozenset[str]] = {}  # alias of a function: its columns' names
        self._tables = {"new", "old", "excluded"}
        self._columns: list[tuple[str, str, str]] = []

    def run(self, statement: Node, context: Context) -> tuple[Part, ...]:
        """Walk one whole statement."""
        self.push(statement, context)
        while self._queue:
            self._visit(*self._queue.popleft())
        self._check_columns()
        for action in self._mentioned:
            if not any(p.action == action and (p.table or p.object) for p in self.parts):
                self.add(Part(action=action))
        return tuple(self.parts)

    # -- what handlers say ---------------------------------------------------------------------

    def add(self, part: Part) -> None:
        """Note a part, once."""
        self.parts[part] = None

    def mention(self, action: str) -> None:
        """The statement does this; it becomes a part of its own unless a table carries it."""
        self._mentioned[action] = None

    def table(self, action: str, node: Node, *, unbounded: bool = False) -> None:
        """Note that a table is read, written or otherwise acted on."""
        self.alias(node.get("alias", {}).get("aliasname", node["relname"]))
        schema, name = names.relation(node)
        system = names.is_system(schema)
        implied = action in {"select", "explain"} and names.is_open(schema, name)
        self.add(
            Part(
                action=action,
                table=names.dotted(schema, name),
                unbounded=unbounded,
                implied=implied,
                explicit=system and not implied,
                why="a system table" if system and not implied else "",
            )
        )

    def about(self, action: str, what: str, *, explicit: bool = True, why: str = "") -> None:
        """Note something that is not a table: a role, a file, a setting."""
        self.add(Part(action=action, object=what, explicit=explicit, why=why))

    def harmless(self, action: str, what: str | None = None) -> None:
        """Note something that whoever has any right on the target may do."""
        self.add(Part(action=action, object=what, implied=True))

    def function(self, action: str, parts: list[str], *, harmless: bool | None = None) -> None:
        """Note the call of a function."""
        name, known = names.function(parts)
        fine = known if harmless is None else harmless
        self.add(Part(action=action, function=name, implied=fine, explicit=not fine))

    def operator(self, name: Iterable[Node] | None, context: Context) -> None:
        """Note an operator of a schema of somebody's own: it can call any function."""
        parts = names.strings(name)
        if len(parts) > 1 and parts[0] != "pg_catalog":
            called = "operator " + ".".join(parts)
            self.add(Part(action=context.action, function=called, explicit=True))

    def alias(self, name: str) -> None:
        """Note that a table, or what has only columns as one has, goes by this name."""
        self._tables.add(name)

    def result(self, alias: str, columns: Iterable[str]) -> None:
        """Note that a function in FROM goes by this alias, with these columns named there."""
        declared = frozenset(columns) | {alias}
        self._results[alias] = self._results.get(alias, declared) & declared

    def column(self, fields: list[Json], context: Context) -> None:
        """Note a qualified column; whether it calls a function is known at the end."""
        known = names.strings(fields)
        if len(fields) > 1 and len(known) == len(fields):
            self._columns.append((known[-2], known[-1], context.action))

    # -- the walk ------------------------------------------------------------------------------

    def inside(self, statement: Node) -> tuple[Part, ...]:
        """The parts of a statement inside this one, apart from its own."""
        return Walk(self._handlers).run(statement, Context())

    def push(self, value: Json, context: Context) -> None:
        """Visit a node, or a list of nodes, later."""
        if isinstance(value, (dict, list)):
            self._queue.append((value, context))

    def children(self, body: Node, context: Context, *, skip: Collection[str] = ()) -> None:
        """Visit what a node holds."""
        for key, value in body.items():
            if key not in skip:
                self.push(value, context)

    def _visit(self, value: Json, context: Context) -> None:
        if isinstance(value, list):
            for each in value:
                self.push(each, context)
            return
        kind = _kind(value)
        body = value.get(kind, value)
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(self, body, context)
            return
        if kind.endswith("Stmt"):
            self._unknown(kind.removesuffix("Stmt"))
        if "aliasname" in body:
            self.alias(body["aliasname"])
        self.children(body, context)

    def _unknown(self, kind: str) -> None:
        verbs = (verb for verb in ("create", "alter", "drop") if kind.lower().startswith(verb))
        self.about(next(verbs, "other"), kind, why="a statement that is not taken apart")

    def _check_columns(self) -> None:
        """Find calls written as columns: f.g FROM f(...) AS f calls g when f has no column g."""
        if not self._results:
            return
        for qualifier, name, action in self._columns:
            if qualifier in self._results:
                fine = name in self._results[qualifier] or name in names.FIELDS
            else:
                fine = qualifier in self._tables
            if not fine:
                self.add(Part(action=action, function=name, explicit=True, why=UNNAMED_COLUMN))


def _kind(value: Node) -> str:
    """The type of a node: its only key when it is wrapped, its shape when it is not."""
    if len(value) == 1:
        (key,) = value
        if key[:1].isupper():
            return str(key)
    if "relname" in value:
        return "RangeVar"
    return "FuncCall" if "funcname" in value else ""
