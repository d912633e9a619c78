"""The walk over a parse tree: what is met becomes parts; what is not understood stays strict.

Nodes are visited outer first, from a queue and not by recursion, so that depth costs no stack.
A node with a handler is its handler's business; any other node is walked through, and a table or
function that turns up in it is still found, because tables and functions are known by their shape
wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
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
PREPARED = "prepared statement "
LEAVES = frozenset({"String", "Integer", "Float", "Boolean", "A_Const", "A_Star", "ParamRef"})
"""Nodes that hold no other node worth a visit."""
PLAIN = frozenset({"JoinExpr", "BoolExpr", "List", "TypeCast", "NullTest", "CaseExpr", "CaseWhen"})
"""Nodes that say nothing but what they hold."""
MADE = 4096  # parts that are kept; the same few are made again and again


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
        if self.action == action and self.reads == "select" and not self.top:
            return self
        return Context(action, "select", self.ctes, top=False)


@dataclass(frozen=True, slots=True)
class Made:
    """A name that a statement gives a meaning, and what using it amounts to.

    Whoever uses a table of that name also does what `adds` says, and the same again to the tables
    that it `stands` for. A function, operator or cast of that name is unknown from then on.
    """

    name: str
    adds: tuple[Part, ...] = ()
    stands: tuple[str, ...] = ()


class Walk:
    """Collects the parts of one statement while its tree is walked.

    `calls`, `operators`, `types` and `fields` are names, each with the action around it, behind
    which the target may have code of its own; only its catalogue can tell (see `resolve`).
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.parts: dict[Part, None] = {}
        self.calls: set[tuple[str, str]] = set()
        self.operators: set[tuple[str, str]] = set()
        self.types: set[tuple[str, str]] = set()
        self.fields: dict[tuple[str, str, str], None] = {}
        self.made: list[Made] = []
        self.prepares: list[str] = []
        self._handlers = handlers
        self._queue: list[tuple[Json, Context]] = []
        self._mentioned: dict[str, None] = {}
        self._results: dict[str, frozenset[str]] = {}  # alias of a function: its columns' names
        self._tables = {"new", "old", "excluded"}

    def run(self, statement: Node, context: Context) -> tuple[Part, ...]:
        """Walk one whole statement; its parts."""
        return tuple(self.over(statement, context).parts)

    def over(self, statement: Node, context: Context) -> Walk:
        """Walk one whole statement."""
        self.push(statement, context)
        handlers, visit, children = self._handlers, self._visit, self.children
        for value, place in self._queue:  # it grows while it is walked
            if len(value) == 1 and value.__class__ is dict:
                ((kind, body),) = value.items()
                if kind in LEAVES:
                    continue
                handler = handlers.get(kind)
                if handler is not None:
                    handler(self, body, place)
                    continue
                if kind in PLAIN:
                    children(body, place)
                    continue
            visit(value, place)
        self._check_columns()
        for action in self._mentioned:
            if not any(p.action == action and (p.table or p.object) for p in self.parts):
                self.add(Part(action=action))
        return self

    # -- what handlers say ---------------------------------------------------------------------

    def add(self, part: Part) -> None:
        """Note a part, once."""
        self.parts[part] = None

    def mention(self, action: str) -> None:
        """The statement does this; it becomes a part of its own unless a table carries it."""
        self._mentioned[action] = None

    def table(self, action: str, node: Node, *, unbounded: bool = False) -> None:
        """Note that a table is read, written or otherwise acted on."""
        alias = node.get("alias")
        self.alias(alias["aliasname"] if alias else node["relname"])
        schema, name = names.relation(node)
        self.parts[table_part(action, schema, name, unbounded)] = None

    def about(self, action: str, what: str, *, explicit: bool = True, why: str = "") -> None:
        """Note something that is not a table: a role, a file, a setting."""
        self.add(Part(action=action, object=what, explicit=explicit, why=why))

    def harmless(self, action: str, what: str | None = None) -> None:
        """Note something that whoever has any right on the target may do."""
        self.add(Part(action=action, object=what, implied=True))

    def function(self, action: str, parts: list[str], *, harmless: bool | None = None) -> None:
        """Note the call of a function."""
        if len(parts) == 1:
            self.calls.add((action, parts[0]))
        self.parts[function_part(action, tuple(parts), harmless)] = None

    def operator(self, name: list[Node] | None, context: Context) -> None:
        """Note an operator; one of a schema of somebody's own can call any function."""
        if not name:
            return
        if len(name) == 1:
            self.operators.add((context.action, name[0]["String"]["sval"]))
            return
        parts = names.strings(name)
        if parts[0] != "pg_catalog":
            called = "operator " + ".".join(parts)
            self.add(Part(action=context.action, function=called, explicit=True))

    def type(self, parts: list[str], context: Context) -> None:
        """Note the name of a type: a value of it may pass a cast or a check of somebody's own."""
        if parts:
            known = parts[1:] if parts[0] == "pg_catalog" else parts
            self.types.add((context.action, names.dotted(*known)))

    def make(self, node: Node, adds: tuple[Part, ...] = (), stands: tuple[str, ...] = ()) -> None:
        """Note what a table of this name will be; a temporary one hides another of its name."""
        schema, name = names.relation(node)
        self.made.append(Made(names.dotted(schema, name), adds, stands))
        if schema.startswith("pg_temp"):
            hidden = names.relation({"relname": name})
            self.made.append(Made(names.dotted(*hidden), adds, stands))

    def make_code(self, name: str) -> None:
        """Note that code of this name is not what it was."""
        self.made.append(Made(name))

    def alias(self, name: str) -> None:
        """Note that a table, or what has only columns as one has, goes by this name."""
        self._tables.add(name)

    def result(self, alias: str, columns: Iterable[str]) -> None:
        """Note that a function in FROM goes by this alias, with these columns named there."""
        declared = frozenset(columns) | {alias}
        self._results[alias] = self._results.get(alias, declared) & declared

    def column(self, fields: list[Json], context: Context) -> None:
        """Note a qualified column; whether it calls a function is known at the end."""
        if len(fields) < 2 or "A_Star" in fields[-1]:
            return
        qualifier, name = fields[-2]["String"]["sval"], fields[-1]["String"]["sval"]
        self.fields[context.action, name, qualifier] = None

    # -- the walk ------------------------------------------------------------------------------

    def inside(self, statement: Node) -> tuple[Part, ...]:
        """The parts of a statement inside this one, apart from its own."""
        inner = Walk(self._handlers).over(statement, Context())
        self.calls |= inner.calls
        self.operators |= inner.operators
        self.types |= inner.types
        self.fields |= inner.fields
        self.made += inner.made
        self.prepares += inner.prepares
        return tuple(inner.parts)

    def push(self, value: Json, context: Context) -> None:
        """Visit a node, or a list of nodes, later."""
        if value.__class__ is dict or value.__class__ is list:
            self._queue.append((value, context))

    def children(self, body: Node, context: Context, *, skip: Collection[str] = ()) -> None:
        """Visit what a node holds."""
        append = self._queue.append
        for key, value in body.items():
            if value.__class__ is dict:
                if key not in skip:
                    append((value, context))
            elif value.__class__ is list and key not in skip:
                for each in value:
                    append((each, context))

    def _visit(self, value: Json, context: Context) -> None:
        """A node without a handler under its name, or a part of a node."""
        if value.__class__ is list:
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
        for action, name, qualifier in self.fields:
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
    if "funcname" in value:
        return "FuncCall"
    return "TypeName" if "names" in value and "typemod" in value else ""


@lru_cache(maxsize=MADE)
def table_part(action: str, schema: str, name: str, unbounded: bool = False) -> Part:
    """What a statement does to a table."""
    system = names.is_system(schema)
    implied = action in {"select", "explain"} and names.is_open(schema, name)
    return Part(
        action=action,
        table=names.dotted(schema, name),
        unbounded=unbounded,
        implied=implied,
        explicit=system and not implied,
        why="a system table" if system and not implied else "",
    )


@lru_cache(maxsize=MADE)
def function_part(action: str, parts: tuple[str, ...], harmless: bool | None = None) -> Part:
    """The call of a function, harmless or not."""
    name, known = names.function(parts)
    fine = known if harmless is None else harmless
    return Part(action=action, function=name, implied=fine, explicit=not fine)
