"""From shfmt's tree to ours: every key that is not known here is refused, not skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broker.errors import Unparsable
from broker.policy.shell import names
from broker.policy.shell.bounds import DEPTH
from broker.policy.shell.redirects import redirects
from broker.policy.shell.tree import (
    AndOr,
    Duplicate,
    Export,
    Group,
    If,
    Node,
    Not,
    Pipeline,
    Refused,
    Sequence,
    Simple,
    Subshell,
    Timed,
    While,
    Word,
)
from broker.policy.shell.words import word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Many

    from broker.policy.shell.tree import Redirect

    Json = Mapping[str, Any]

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
}
REFUSED = {
    "ForClause": ("for loop", "its variable is not literal; write the commands out"),
    "CaseClause": ("case", "its word is literal here; write the branch that is meant"),
    "FuncDecl": ("function", "it would give a name another meaning"),
    "ArithmCmd": ("arithmetic command", "variables are not known here"),
    "TestClause": ("[[ ]]", "use [ ] or test"),
    "LetClause": ("let", "variables are not known here"),
    "CoprocClause": ("coproc", "nothing may outlive its line"),
    "TestDecl": ("@test", "it is not a command"),
}


def build(tree: Json, *, portable: bool = False) -> Node:
    """The statements of a file as one node; `portable` refuses what only bash reads as we do.

    Raises Refused for a construct that we do not judge.
    """
    try:
        return _Builder(portable).statements(tree.get("Stmts"))
    except (KeyError, TypeError, AttributeError) as error:
        msg = "the grammar's answer has a form that is not known"
        raise Unparsable(msg) from error


class _Builder:
    """One walk; it counts how deep it is."""

    def __init__(self, portable: bool) -> None:
        self.portable = portable
        self.depth = 0

    def statements(self, nodes: Many[Json] | None) -> Node:
        items = tuple(self.statement(node) for node in nodes or ())
        return items[0] if len(items) == 1 else Sequence(items)

    def statement(self, node: Json) -> Node:
        if node.get("Background"):
            raise Refused("background job", "nothing may outlive its line; leave out the &")
        _only(node, STATEMENT_KEYS)
        self.depth += 1
        if self.depth > DEPTH:
            msg = "commands are nested too deeply"
            raise Unparsable(msg)
        around = redirects(node.get("Redirs", ()), portable=self.portable)
        body = self.command(node["Cmd"], around) if node.get("Cmd") else Simple((), around)
        self.depth -= 1
        if not node.get("Negated"):
            return body
        if isinstance(body, AndOr | Not | Sequence | Export):
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
            return Subshell(self.statements(node.get("Stmts")), around)
        if kind == "Block":
            return Group(self.statements(node.get("Stmts")), around)
        if kind == "IfClause":
            return self.branches(node, around)
        condition = self.statements(node["Cond"])
        return While(condition, self.statements(node["Do"]), bool(node.get("Until")), around)

    def branches(self, node: Json, around: tuple[Redirect, ...]) -> If:
        branches = []
        otherwise: Node | None = None
        clause: Json | None = node
        while clause:
            _only(clause, COMMAND_KEYS["IfClause"])
            body = self.statements(clause["Then"])
            if clause.get("Cond"):
                branches.append((self.statements(clause["Cond"]), body))
            else:
                otherwise = body
            clause = clause.get("Else")
        return If(tuple(branches), otherwise, around)

    def simple(self, node: Json, around: tuple[Redirect, ...]) -> Simple:
        words = tuple(word(each, portable=self.portable) for each in node.get("Args", ()))
        variables = tuple(self.variable(each) for each in node.get("Assigns", ()))
        if variables and not words:
            raise Refused("assignment", "variables are not known here; use export NAME=value")
        for name, _ in variables:
            if name not in names.HARMLESS and not name.startswith("LC_"):
                raise Refused(f"{name}= before a command", "only LANG, LC_* and TZ may be set so")
        if words and words[0].literal is None:
            raise Refused("a command name that is not literal", "write the program's name")
        return Simple(words, around, variables)

    def variable(self, node: Json) -> tuple[str, str]:
        _only(node, {"Name", "Value"})
        value = word(node["Value"], portable=self.portable) if node.get("Value") else Word(())
        text = value.literal
        if text is None and not value.has_home:  # a glob is not matched in an assignment
            text = value.text
        if text is None:
            raise Refused("tilde in an assignment", "write the directory")
        return str(node["Name"]["Value"]), text

    def export(self, node: Json) -> Export:
        variant = str(node["Variant"]["Value"])
        if variant != "export" or not node.get("Args"):
            raise Refused(variant, "only export NAME=value is understood")
        variables = tuple(self.variable(each) for each in node["Args"])
        for name, _ in variables:
            if names.is_dangerous(name):
                raise Refused(f"export of {name}", "it changes what programs run")
        return Export(variables)

    def timed(self, node: Json) -> Timed:
        body = self.statement(node["Stmt"]) if node.get("Stmt") else None
        if self.portable or not isinstance(body, Simple) or not body.words or body.variables:
            raise Refused("time of this", "put it before one simple command")
        return Timed(body, bool(node.get("PosixFormat")))

    def binary(self, node: Json) -> Node:
        op = str(node["Op"])
        left, right = self.statement(node["X"]), self.statement(node["Y"])
        if op in ("&&", "||"):
            if isinstance(right, AndOr | Sequence):
                raise Refused("this chain", "it leans to the right")
            return AndOr(op, left, right)
        stages = left.stages if isinstance(left, Pipeline) else (left,)
        if op == "|&" and not self.portable and isinstance(last := stages[-1], Simple):
            both = (*last.redirects, Duplicate(2, ">&", "1"))
            stages = (*stages[:-1], Simple(last.words, both, last.variables))
        elif op != "|":
            raise Refused(op, "use 2>&1 | and ; or &&")
        return Pipeline(tuple(_stage(stage) for stage in (*stages, right)))


def _stage(node: Node) -> Simple | Subshell | Group | If | While:
    if isinstance(node, Simple | Subshell | Group | If | While):
        return node
    raise Refused("this in a pipeline", "put it in ( ) or on a line of its own")


def _only(node: Json, known: set[str]) -> None:
    """Refuse keys that are not known here, except positions and empty values."""
    for key, value in node.items():
        if key in known or key == "Type" or not value:
            continue
        if isinstance(value, dict) and "Offset" in value:
            continue
        raise Refused("unknown construct", f"{key} is not understood")
