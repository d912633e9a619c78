"""From shfmt's tree to ours: every key that is not known here is refused, not skipped.

The tree is read in the order in which it will run, with a `Scope` of what is known: known values
are written out, loops over known words are written out turn by turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from broker.errors import Unparsable
from broker.policy.shell import names
from broker.policy.shell.bounds import DEPTH, STATEMENTS
from broker.policy.shell.braces import expanded
from broker.policy.shell.redirects import redirects
from broker.policy.shell.scope import Scope, check_name
from broker.policy.shell.syntax import assigned, has_document, leaves_early, unknown_keys
from broker.policy.shell.tree import (
    AndOr,
    Assign,
    Case,
    Duplicate,
    Export,
    For,
    Group,
    If,
    Node,
    Not,
    Pipeline,
    Refused,
    Sequence,
    Simple,
    Subshell,
    Text,
    Timed,
    While,
    Word,
)
from broker.policy.shell.words import Reading, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Many

    from broker.policy.shell.tree import Compound, Redirect

    Json = Mapping[str, Any]

T = TypeVar("T")

STATEMENT_KEYS = {"Cmd", "Redirs", "Negated", "Comments"}
COMMAND_KEYS = {
    "CallExpr": {"Assigns", "Args"},
    "BinaryCmd": {"Op", "X", "Y"},
    "Subshell": {"Stmts", "Last"},
    "Block": {"Stmts", "Last"},
    "IfClause": {"Cond", "CondLast", "Then", "ThenLast", "Else", "Last"},
    "WhileClause": {"Until", "Cond", "CondLast", "Do", "DoLast"},
    "TimeClause": {"PosixFormat", "Stmt"},
    "DeclClause": {"Variant", "Args"},
    "ForClause": {"Loop", "Do", "DoLast"},
    "CaseClause": {"Word", "Items", "Last"},
}
TURNS = 64  # of a loop that is written out
REFUSED = {
    "FuncDecl": ("function", "it would give a name another meaning"),
    "ArithmCmd": ("arithmetic command", "variables are not known here"),
    "TestClause": ("[[ ]]", "use [ ] or test"),
    "LetClause": ("let", "variables are not known here"),
    "CoprocClause": ("coproc", "nothing may outlive its line"),
    "TestDecl": ("@test", "it is not a command"),
}


def build(tree: Json, *, portable: bool = False, known: Mapping[str, str] | None = None) -> Node:
    """The statements of a file as one node; `portable` refuses what only bash reads as we do.

    `known` are variables of the session, and under ``?`` the last status. Raises Refused for a
    construct that we do not judge.
    """
    try:
        return Builder(portable, Scope(known)).statements(tree.get("Stmts"))
    except (KeyError, TypeError, AttributeError) as error:
        msg = "the grammar's answer has a form that is not known"
        raise Unparsable(msg) from error


class Builder:
    """One walk; it counts how deep it is, and how much it has read."""

    def __init__(self, portable: bool, scope: Scope) -> None:
        self.portable = portable
        self.scope = scope
        self.depth = 0
        self.read = 0

    @property
    def reading(self) -> Reading:
        return Reading(self.scope, self.portable, self.substitution)

    def statements(self, nodes: Many[Json] | None) -> Node:
        items = tuple(self.statement(node) for node in nodes or ())
        return items[0] if len(items) == 1 else Sequence(items)

    def substitution(self, nodes: Many[Json] | None) -> Node:
        """The commands of ``$(...)``, which run in a shell of their own."""
        if not nodes:
            raise Refused("empty substitution", "leave it out")
        if has_document(nodes):
            raise Refused("here-document in $(...)", "put it on a line of its own")
        return self.apart(lambda: self.statements(nodes))

    def apart(self, read: Callable[[], T]) -> T:
        """Read what cannot change this shell's variables."""
        scope, self.scope = self.scope, self.scope.fork()
        try:
            self.depth += 1
            return read()
        finally:
            self.depth -= 1
            self.scope = scope

    def perhaps(self, read: Callable[[], T]) -> T:
        """Read what may run or not."""
        before = self.scope.fork()
        result = read()
        self.scope.join(before, self.scope.fork())
        return result

    def statement(self, node: Json) -> Node:
        if node.get("Background"):
            raise Refused("background job", "nothing may outlive its line; leave out the &")
        _only(node, STATEMENT_KEYS)
        self.depth += 1
        self.read += 1
        if self.depth > DEPTH:
            msg = "commands are nested too deeply"
            raise Unparsable(msg)
        if self.read > STATEMENTS:
            raise Refused("this many commands", "put them on several lines")
        around = redirects(node.get("Redirs", ()), self.reading)
        body = self.command(node["Cmd"], around) if node.get("Cmd") else Simple((), around)
        self.depth -= 1
        self.scope.ran(body.words if isinstance(body, Simple) else ())
        if not node.get("Negated"):
            return body
        if isinstance(body, AndOr | Not | Sequence | Export | Assign):
            raise Refused("! before this", "only commands and pipelines can be negated")
        return Not(body)

    def command(self, node: Json, around: tuple[Redirect, ...]) -> Node:
        kind = str(node.get("Type"))
        if kind in REFUSED:
            raise Refused(*REFUSED[kind])
        if kind not in COMMAND_KEYS:
            raise Refused("unknown construct", f"{kind} is not understood")
        _only(node, COMMAND_KEYS[kind])
        if kind == "CallExpr":
            return self.simple(node, around)
        if kind in ("BinaryCmd", "DeclClause", "TimeClause"):
            if around:
                raise Refused("redirection of this", "put it on the commands themselves")
            makers: dict[str, Callable[[Json], Node]] = {
                "BinaryCmd": self.binary,
                "DeclClause": self.export,
                "TimeClause": self.timed,
            }
            return makers[kind](node)
        return self.compound(kind, node, around)

    def compound(self, kind: str, node: Json, around: tuple[Redirect, ...]) -> Node:
        if kind == "Subshell":
            return Subshell(self.apart(lambda: self.statements(node.get("Stmts"))), around)
        if kind == "Block":
            return Group(self.statements(node.get("Stmts")), around)
        if kind == "IfClause":
            return self.branches(node, around)
        if kind == "CaseClause":
            return self.case(node, around)
        if kind == "ForClause":
            return self.loop(node, around)
        self.scope.forget(assigned(node))
        condition = self.statements(node["Cond"])
        body = self.perhaps(lambda: self.statements(node["Do"]))
        return While(condition, body, bool(node.get("Until")), around)

    def branches(self, node: Json, around: tuple[Redirect, ...]) -> If:
        branches = []
        otherwise: Node | None = None
        clause: Json | None = node
        ends: list[Scope] = []
        while clause:
            _only(clause, COMMAND_KEYS["IfClause"])
            condition = self.statements(clause["Cond"]) if clause.get("Cond") else None
            before = self.scope.fork()
            body = self.statements(clause["Then"])
            ends.append(self.scope)
            self.scope = before
            if condition is None:
                otherwise = body
            else:
                branches.append((condition, body))
            clause = clause.get("Else")
        if otherwise is None:
            ends.append(self.scope)
        self.scope = self.scope.fork()
        self.scope.join(*ends)
        return If(tuple(branches), otherwise, around)

    def case(self, node: Json, around: tuple[Redirect, ...]) -> Case:
        subject = word(node["Word"], self.reading, whole=True)
        ends = [self.scope.fork()]
        branches = []
        for item in node.get("Items", ()):
            _only(item, {"Op", "Patterns", "Stmts", "Last"})
            if item["Op"] != ";;":
                raise Refused(f"case with {item['Op']}", "end its branches with ;;")
            patterns = tuple(word(each, self.reading) for each in item["Patterns"])
            if any(each.is_unknown or each.has_home for each in patterns):
                raise Refused("a pattern that is not known", "write it out")
            before = self.scope.fork()
            branches.append((patterns, self.statements(item.get("Stmts"))))
            ends.append(self.scope)
            self.scope = before
        self.scope.join(*ends)
        return Case(subject, tuple(branches), around)

    def loop(self, node: Json, around: tuple[Redirect, ...]) -> Node:
        """Written out turn by turn when its words are known, else as it is."""
        loop = node["Loop"]
        if node.get("Select") or loop.get("Type") != "WordIter" or not loop.get("InPos"):
            raise Refused("this for loop", "write: for NAME in WORDS; do ...; done")
        _only(loop, {"Name", "Items", "InPos"})
        name = str(loop["Name"]["Value"])
        check_name(name)
        words = tuple(one for each in loop.get("Items", ()) for one in self.words(each, split=True))
        literal = [each.literal for each in words]
        short = len(words) <= TURNS and not self.portable and not leaves_early(node["Do"])
        if short and None not in literal:
            body = self.turns(name, [text for text in literal if text is not None], node["Do"])
            if body is not None:
                return Group(body, around)
        self.scope.forget(assigned(node))
        self.scope.assign(name, None)
        body = self.perhaps(lambda: self.statements(node["Do"]))
        return For(name, words, body, around)

    def turns(self, name: str, texts: Many[str], statements: Many[Json]) -> Node | None:
        """The body once for each word; None when that cannot be read."""
        before, bodies = self.scope.fork(), []
        for text in texts:
            self.scope.assign(name, text, hidden=True)
            try:
                bodies.append(self.statements(statements))
            except Refused:  # read as a loop it is refused again, or needs no known value
                self.scope = before
                return None
        if not bodies:
            bodies.append(Simple((Word((Text("true"),)),)))
        return bodies[0] if len(bodies) == 1 else Sequence(tuple(bodies))

    def simple(self, node: Json, around: tuple[Redirect, ...]) -> Node:
        words = tuple(one for each in node.get("Args", ()) for one in self.words(each))
        if node.get("Assigns") and not words:
            return self.assign(node, around)
        variables = tuple(self.variable(each) for each in node.get("Assigns", ()))
        for name, _ in variables:
            if name not in names.HARMLESS and not name.startswith("LC_"):
                raise Refused(f"{name}= before a command", "only LANG, LC_* and TZ may be set so")
        if words and words[0].literal is None:
            raise Refused("a command name that is not literal", "write the program's name")
        return Simple(words, around, variables)

    def words(self, node: Json, *, split: bool = False) -> list[Word]:
        """The words that one word of the text stands for."""
        each = [node] if self.portable else expanded(node)
        return [word(one, self.reading, split=split) for one in each]

    def assign(self, node: Json, around: tuple[Redirect, ...]) -> Assign:
        if around or self.portable:
            raise Refused("assignment", "the values of variables are not followed here")
        variables = []
        for each in node["Assigns"]:
            _only(each, {"Name", "Value"})
            name = str(each["Name"]["Value"])
            check_name(name)
            value = word(each["Value"], self.reading, whole=True) if each.get("Value") else Word(())
            if value.has_home:
                raise Refused("tilde in an assignment", "write the directory")
            if value.has_glob:  # a glob is not matched in an assignment
                value = Word((Text(value.text),))
            variables.append((name, value))
            self.scope.assign(name, value.literal)
        return Assign(tuple(variables))

    def variable(self, node: Json) -> tuple[str, str]:
        _only(node, {"Name", "Value"})
        value = word(node["Value"], self.reading, whole=True) if node.get("Value") else Word(())
        if value.has_home:
            raise Refused("tilde in an assignment", "write the directory")
        if value.is_unknown:
            raise Refused("a value that is not known here", "write it out")
        text = value.text  # a glob is not matched in an assignment
        return str(node["Name"]["Value"]), text

    def export(self, node: Json) -> Export:
        variant = str(node["Variant"]["Value"])
        if variant != "export" or not node.get("Args"):
            raise Refused(variant, "only export NAME=value is understood")
        variables = tuple(self.variable(each) for each in node["Args"])
        for name, _ in variables:
            if names.is_dangerous(name):
                raise Refused(f"export of {name}", "it changes what programs run")
        for name, value in variables:
            self.scope.assign(name, value)
        return Export(variables)

    def timed(self, node: Json) -> Timed:
        body = self.statement(node["Stmt"]) if node.get("Stmt") else None
        if self.portable or not isinstance(body, Simple) or not body.words or body.variables:
            raise Refused("time of this", "put it before one simple command")
        return Timed(body, bool(node.get("PosixFormat")))

    def binary(self, node: Json) -> Node:
        op = str(node["Op"])
        if op in ("&&", "||"):
            left = self.statement(node["X"])
            right = self.perhaps(lambda: self.statement(node["Y"]))
            if isinstance(right, AndOr | Sequence):
                raise Refused("this chain", "it leans to the right")
            return AndOr(op, left, right)
        left = self.apart(lambda: self.statement(node["X"]))
        right = self.apart(lambda: self.statement(node["Y"]))
        stages = left.stages if isinstance(left, Pipeline) else (left,)
        if op == "|&" and not self.portable and isinstance(last := stages[-1], Simple):
            both = (*last.redirects, Duplicate(2, ">&", "1"))
            stages = (*stages[:-1], Simple(last.words, both, last.variables))
        elif op != "|":
            raise Refused(op, "use 2>&1 | and ; or &&")
        return Pipeline(tuple(_stage(stage) for stage in (*stages, right)))


def _stage(node: Node) -> Simple | Compound:
    if isinstance(node, Simple | Subshell | Group | If | While | For | Case):
        return node
    raise Refused("this in a pipeline", "put it in ( ) or on a line of its own")


def _only(node: Json, known: set[str]) -> None:
    for key in unknown_keys(node, known):
        raise Refused("unknown construct", f"{key} is not understood")
