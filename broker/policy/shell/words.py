"""Words of shfmt's tree, taken apart into what means itself and what the target expands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker.policy.shell.arithmetic import computed
from broker.policy.shell.bounds import is_control
from broker.policy.shell.scope import STATUS
from broker.policy.shell.syntax import unknown_keys
from broker.policy.shell.tree import Glob, Home, Output, Refused, Text, Value, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from broker.policy.shell.scope import Scope
    from broker.policy.shell.tree import Node, Piece

    Json = Mapping[str, Any]

EXPANSIONS = {
    "ProcSubst": ("process substitution", "use a pipe or a file"),
    "ExtGlob": ("extended glob", "write the names, or use *, ? or [...]"),
}
BRACKET = re.compile(r"\[[!^]?[A-Za-z0-9_-]+\]")
PLAIN_SET = re.compile(r"\[(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9])+\]")
MARKS = {"*": "⟨*⟩", "?": "⟨?⟩"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|\?")
PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")  # unquoted, it is one word all the same
UPWARD = re.compile(r"(?=.*⟨)\.(?:⟨\*⟩)*(?:\.|⟨\?⟩)?(?:⟨\*⟩)*")
ANSI_C = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})"
    r"|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|(c.))|(\\)",
    re.DOTALL,
)
LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r"}
LETTERS |= {"t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the words of a line are read with.

    `portable` also refuses what only bash reads as we do, and writes no variable out: the text is
    then run as it is. `commands` builds the statements of a substitution.
    """

    scope: Scope
    portable: bool
    commands: Callable[[Any], Node]


def word(node: Json, reading: Reading, *, whole: bool = False, split: bool = False) -> Word:
    """One word. `whole` where the shell splits nothing (an assignment); `split` where it may."""
    if set(node) - {"Type", "Parts", "Pos", "End"}:
        raise Refused("unknown word", "this form is not understood")
    pieces: list[Piece] = []
    parts = node.get("Parts", ())
    for index, part in enumerate(parts):
        home = index == 0 and _begins_with_home(part, alone=len(parts) == 1)
        reader = _Part(reading, home=home, bare=not whole, split=split)
        pieces.extend(reader.pieces(part))
    merged = _merged(pieces)
    if not whole and not reading.portable:
        merged = _at_home(merged)
    if merged.has_glob and any(map(UPWARD.fullmatch, _shape(merged).split("/"))):
        raise Refused("a pattern that may mean ..", "shells differ on it; write .??* or the names")
    if merged.has_glob and merged.is_unknown:
        raise Refused("a pattern with a variable", "which files it names is not certain")
    if any(is_control(char) for char in merged.text):
        raise Refused("control character", "a word may hold tabs and newlines only")
    return merged


def _shape(word: Word) -> str:
    """The word with a mark for each glob; a plain set of letters or digits is a letter."""
    shapes = (
        piece.text if not isinstance(piece, Glob) else MARKS.get(piece.text) or _set(piece.text)
        for piece in word.pieces
    )
    return "".join(shapes)


def _set(text: str) -> str:
    return "x" if PLAIN_SET.fullmatch(text) else MARKS["?"]


@dataclass(frozen=True, slots=True)
class _Part:
    """Reads one part of a word; `bare` while unquoted text would be split into words."""

    reading: Reading
    home: bool
    bare: bool
    split: bool

    def pieces(self, part: Json) -> Iterator[Piece]:
        kind = part.get("Type")
        dollar = part.get("Dollar") is True  # of other parts it is a position
        if dollar and self.reading.portable:
            raise Refused("$ before a quote", "not every shell reads it the same way")
        if kind == "Lit":
            yield from _bare(part["Value"], home=self.home)
        elif kind == "SglQuoted":
            value = part.get("Value", "")
            yield Text(_ansi_c(value) if dollar else value)
        elif kind == "DblQuoted":
            for inner in part.get("Parts", ()):
                if inner.get("Type") == "Lit":
                    yield Text(re.sub(r"\\([$`\"\\])", r"\1", inner["Value"]))
                else:
                    yield self.expansion(inner, bare=False)
        else:
            yield self.expansion(part, bare=self.bare)

    def expansion(self, part: Json, *, bare: bool) -> Piece:
        kind = part.get("Type")
        if kind == "ParamExp":
            return self.variable(part, bare=bare)
        if kind == "CmdSubst":
            return self.output(part, bare=bare)
        if kind == "ArithmExp":
            _only(part, {"X", "Left", "Right"}, "arithmetic expansion")
            value = (lambda _: None) if self.reading.portable else self.reading.scope.value
            return Text(str(computed(part["X"], value)))
        raise _unknown(kind)

    def variable(self, part: Json, *, bare: bool) -> Piece:
        name = str(part.get("Param", {}).get("Value", ""))
        _only(part, {"Short", "Param", "Dollar", "Rbrace"}, f"${{{name}...}}")
        if not NAME.fullmatch(name):
            raise Refused(f"${name}", "this parameter is not understood")
        known = None if self.reading.portable else self.reading.scope.value(name)
        if known is not None:
            if bare and not PLAIN.fullmatch(known):
                raise Refused(f"unquoted ${name}", f'it would be taken apart; quote it: "${name}"')
            return Text(known)
        if name.isdigit() and not self.reading.portable:
            raise Refused(f"${name}", "there are no arguments here")
        if bare and not self.split and name not in (STATUS, "HOME"):
            raise Refused(f"unquoted ${name}", f'its value is not known here; quote it: "${name}"')
        return Value(name, split=bare and self.split and name != "HOME")

    def output(self, part: Json, *, bare: bool) -> Piece:
        _only(part, {"Left", "Right", "Stmts", "Last", "Backquotes"}, "command substitution")
        if bare and not self.split:
            raise Refused("unquoted $(...)", 'its output is not known here; quote it: "$(...)"')
        return Output(self.reading.commands(part.get("Stmts")), split=bare and self.split)


def _only(part: Json, known: set[str], construct: str) -> None:
    if unknown_keys(part, known):
        raise Refused(construct, "only $NAME, ${NAME} and $(...) are understood")


def _unknown(kind: object) -> Refused:
    construct, why = EXPANSIONS.get(str(kind), ("unknown expansion", f"{kind} is not understood"))
    return Refused(construct, why)


def _at_home(word: Word) -> Word:
    """``$HOME`` alone or before a slash is ``~``: no line can change it."""
    first, *rest = word.pieces or (Text(""),)
    if first != Value("HOME") or (rest and not rest[0].text.startswith("/")):
        return word
    return word if rest and not isinstance(rest[0], Text) else Word((Home(), *rest))


def _begins_with_home(part: Mapping[str, Any], *, alone: bool) -> bool:
    """Is this first part ``~`` or ``~/...``? A quote within the prefix makes it literal."""
    value = part.get("Value", "")
    if part.get("Type") != "Lit" or not value.startswith("~"):
        return False
    if value == "~":
        return alone
    if value[1] != "/":
        raise Refused("tilde expansion of a user's name", "write the directory")
    return True


def _bare(value: str, *, home: bool) -> Iterator[Piece]:
    """Unquoted characters: a backslash quotes the next one; globs and a first ~ are expanded."""
    at = 0
    if home:
        yield Home()
        at = 1
    while at < len(value):
        char = value[at]
        if char == "\\":
            yield Text(_escaped(value, at))
            at += 2
        elif char in "*?":
            yield Glob(char)
            at += 1
        elif char == "[":
            piece = _bracket(value, at)
            yield piece
            at += len(piece.text)
        else:
            _check_bare(value, at)
            yield Text(char)
            at += 1


def _escaped(value: str, at: int) -> str:
    if at + 1 >= len(value):
        raise Refused("a backslash at the end", "it would join the next line")
    return value[at + 1]


def _bracket(value: str, at: int) -> Piece:
    match = BRACKET.match(value, at)
    if match:
        return Glob(match[0].replace("[^", "[!"))
    if value == "[" or "]" not in value[at:]:
        return Text("[")
    raise Refused("bracket pattern", "only plain ones are understood: [a-z], [!0-9]; or quote it")


def _check_bare(value: str, at: int) -> None:
    char = value[at]
    if char == "{" and value[at + 1 : at + 2] != "}":
        raise Refused("brace expansion", "write the words out, or quote the brace")
    if char == "~" and value[at - 1 : at] in ("=", ":"):
        raise Refused("tilde after = or :", "shells differ on it; write the directory or quote it")
    if char in "$`":
        raise Refused("unquoted $ or backquote", "quote it")


def _merged(pieces: list[Piece]) -> Word:
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text) and merged and isinstance(merged[-1], Text):
            merged[-1] = Text(merged[-1].text + piece.text)
        elif piece.text:
            merged.append(piece)
    return Word(tuple(merged))


def _ansi_c(value: str) -> str:
    return ANSI_C.sub(_decoded, value)


def _decoded(match: re.Match[str]) -> str:
    letter, octal, hexadecimal, short, long, control, alone = match.groups()
    if letter:
        return LETTERS.get(letter, letter)
    if control or alone:
        raise Refused("$'...' escape", f"{match[0]!r} is not understood")
    number = int(octal, 8) if octal else int(hexadecimal or short or long, 16)
    limit = 0x10FFFF if short or long else 0x7F
    if not 0 < number <= limit or 0xD800 <= number <= 0xDFFF:
        raise Refused("$'...' escape", f"{match[0]!r} is not a character")
    return chr(number)
