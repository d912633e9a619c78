"""The canonical text of a tree: what is judged, approved and sent, byte for byte.

Every word that holds anything beyond plain characters stands in single quotes, which every POSIX
shell reads alike. Here-documents follow the line in the order in which they are asked for.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any, assert_never

from broker.policy.shell.build import build
from broker.policy.shell.tree import (
    AndOr,
    Assign,
    Case,
    Duplicate,
    Export,
    File,
    For,
    Glob,
    Group,
    Here,
    Home,
    If,
    Not,
    Output,
    Pipeline,
    Sequence,
    Simple,
    Subshell,
    Timed,
    Value,
    While,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.policy.shell.tree import Compound, Node, Redirect, Word

PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*")
PLAIN_COMMAND = re.compile(r"[A-Za-z0-9_+:./-][A-Za-z0-9_@%+:,./-]*")
RESERVED = frozenset(  # of any shell that might read it
    (
        *("if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until"),
        *("for", "in", "select", "function", "time", "coproc", "declare", "typeset", "local"),
        *("export", "readonly", "nameref", "let", "eval", "exec", "repeat", "foreach", "end"),
        *("nocorrect", "noglob", "alias"),
    )
)


def canonical(tree: Mapping[str, Any]) -> str:
    """The canonical text of what shfmt parsed; raises Refused for what we do not judge."""
    return emit(build(tree))


def emit(node: Node) -> str:
    """The canonical text of a node: one line, then its here-documents; no line end without."""
    emitter = _Emitter()
    line = emitter.node(node)
    return "\n".join([line, *emitter.documents]) + ("\n" if emitter.documents else "")


def quoted(text: str) -> str:
    """Text in single quotes, unless it is plain."""
    if PLAIN.fullmatch(text) or text in ("[", "]"):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def word_text(word: Word, *, command: bool = False) -> str:
    """One word: its literal pieces quoted, its globs and home directory as they are.

    Variables and what commands print stand in double quotes, so that they stay one word.
    """
    literal = word.literal
    if command and literal is not None:
        plain = PLAIN_COMMAND.fullmatch(literal) and literal not in RESERVED
        return literal if plain or literal == "[" else "'" + literal.replace("'", "'\\''") + "'"
    if literal is not None:
        return quoted(literal)
    return "".join(_pieces(word))


def _pieces(word: Word) -> list[str]:
    out: list[str] = []
    for index, piece in enumerate(word.pieces):
        if isinstance(piece, Glob | Home):
            out.append(piece.text)
        elif isinstance(piece, Value | Output):
            inner = f"${piece.name}" if isinstance(piece, Value) else f"$( {emit(piece.body)} )"
            out.append(inner if piece.split else f'"{inner}"')
        elif index and isinstance(word.pieces[index - 1], Home) and piece.text.startswith("/"):
            rest = piece.text[1:]
            out.append("/" + (quoted(rest) if rest else ""))
        else:
            out.append(quoted(piece.text))
    return out


class _Emitter:
    """One text; here-documents gather until the end of its line."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    def node(self, node: Node) -> str:
        match node:
            case Simple():
                text = self.simple(node)
            case Export(variables):
                text = "export " + " ".join(f"{name}={quoted(value)}" for name, value in variables)
            case Assign(variables):
                text = " ".join(f"{name}={word_text(value)}" for name, value in variables)
            case Timed(body, posix):
                text = f"time {'-p ' if posix else ''}{self.simple(body)}"
            case Pipeline(stages):
                text = " | ".join(self.node(stage) for stage in stages)
            case Not(body):
                text = f"! {self.node(body)}"
            case AndOr(op, left, right):
                text = f"{self.node(left)} {op} {self.node(right)}"
            case Sequence(items):
                text = "; ".join(self.node(item) for item in items)
            case Subshell() | Group() | If() | While() | For() | Case():
                text = self.compound(node)
            case _:
                assert_never(node)
        return text

    def compound(self, node: Compound) -> str:
        match node:
            case Subshell(body):
                text = f"( {self.node(body)} )"
            case Group(body):
                text = f"{{ {self.node(body)}; }}"
            case While(condition, body, until):
                loop = "until" if until else "while"
                text = f"{loop} {self.node(condition)}; do {self.node(body)}; done"
            case If():
                text = self.branches(node)
            case For(name, words, body):
                listed = "".join(f" {word_text(each)}" for each in words)
                text = f"for {name} in{listed}; do {self.node(body)}; done"
            case Case():
                text = self.case(node)
            case _:
                assert_never(node)
        return " ".join([text, *(self.redirect(each) for each in node.redirects)])

    def branches(self, node: If) -> str:
        parts = []
        for index, (condition, body) in enumerate(node.branches):
            opening = "elif" if index else "if"
            parts.append(f"{opening} {self.node(condition)}; then {self.node(body)};")
        if node.otherwise is not None:
            parts.append(f"else {self.node(node.otherwise)};")
        return " ".join([*parts, "fi"])

    def case(self, node: Case) -> str:
        parts = [f"case {word_text(node.subject)} in"]
        for patterns, body in node.branches:
            listed = "|".join(map(word_text, patterns))
            inner = "" if body == Sequence(()) else f" {self.node(body)}"
            parts.append(f"({listed}){inner} ;;")
        return " ".join([*parts, "esac"])

    def simple(self, node: Simple) -> str:
        parts = [f"{name}={quoted(value)}" for name, value in node.variables]
        parts += [word_text(each, command=not at) for at, each in enumerate(node.words)]
        parts += [self.redirect(each) for each in node.redirects]
        return " ".join(parts)

    def redirect(self, redirect: Redirect) -> str:
        match redirect:
            case File(fd, op, path):
                return f"{_shown(fd, op)}{op}{quoted(path)}"
            case Duplicate(fd, op, to):
                return f"{_shown(fd, op)}{op}{to}"
            case Here(fd, body):
                end = _delimiter(body)
                self.documents.append(f"{body}{end}")
                return f"{_shown(fd, '<')}<<'{end}'"
            case _:
                assert_never(redirect)


def _shown(fd: int, op: str) -> str:
    return "" if fd == (0 if op.startswith("<") else 1) else str(fd)


def _delimiter(body: str) -> str:
    """A word that ends this body: no line of it begins with the word's first letter.

    dash loses a byte of a line that begins like the delimiter and goes on outside ASCII.
    """
    lines = body.split("\n")
    firsts = {line[:1] for line in lines}
    for letter in "E" + string.ascii_letters:
        if letter not in firsts:
            return letter + "OF"
    number = 0
    while (end := f"EOF{number or ''}") in lines:
        number += 1
    return end
