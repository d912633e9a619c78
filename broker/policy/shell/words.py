"""Words of shfmt's tree, taken apart into what means itself and what the target expands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from broker.policy.shell.bounds import is_control
from broker.policy.shell.tree import Glob, Home, Refused, Text, Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Piece = Text | Glob | Home

EXPANSIONS = {
    "ParamExp": ("parameter expansion", "the value of a variable is not known here; write it out"),
    "CmdSubst": ("command substitution", "its output is not known here; run it by itself"),
    "ArithmExp": ("arithmetic expansion", "write the number"),
    "ProcSubst": ("process substitution", "use a pipe or a file"),
    "ExtGlob": ("extended glob", "write the names, or use *, ? or [...]"),
}
BRACKET = re.compile(r"\[[!^]?[A-Za-z0-9_-]+\]")
PLAIN_SET = re.compile(r"\[(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9])+\]")
MARKS = {"*": "⟨*⟩", "?": "⟨?⟩"}
UPWARD = re.compile(r"(?=.*⟨)\.(?:⟨\*⟩)*(?:\.|⟨\?⟩)?(?:⟨\*⟩)*")
ANSI_C = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})"
    r"|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|(c.))|(\\)",
    re.DOTALL,
)
LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r"}
LETTERS |= {"t": "\t", "v": "\v"}


def word(node: Mapping[str, Any], *, portable: bool = False) -> Word:
    """One word; `portable` also refuses what only bash reads as we do."""
    if set(node) - {"Type", "Parts", "Pos", "End"}:
        raise Refused("unknown word", "this form is not understood")
    pieces: list[Piece] = []
    parts = node.get("Parts", ())
    for index, part in enumerate(parts):
        home = index == 0 and _begins_with_home(part, alone=len(parts) == 1)
        pieces.extend(_part(part, home=home, portable=portable))
    merged = _merged(pieces)
    if merged.has_glob and any(map(UPWARD.fullmatch, _shape(merged).split("/"))):
        raise Refused("a pattern that may mean ..", "shells differ on it; write .??* or the names")
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


def _part(part: Mapping[str, Any], *, home: bool, portable: bool) -> Iterator[Piece]:
    kind = part.get("Type")
    dollar = part.get("Dollar") is True  # of other parts it is a position
    if dollar and portable:
        raise Refused("$ before a quote", "not every shell reads it the same way")
    if kind == "Lit":
        yield from _bare(part["Value"], home=home)
    elif kind == "SglQuoted":
        value = part.get("Value", "")
        yield Text(_ansi_c(value) if dollar else value)
    elif kind == "DblQuoted":
        for inner in part.get("Parts", ()):
            if inner.get("Type") != "Lit":
                raise _unknown(inner.get("Type"))
            yield Text(re.sub(r"\\([$`\"\\])", r"\1", inner["Value"]))
    else:
        raise _unknown(kind)


def _unknown(kind: object) -> Refused:
    construct, why = EXPANSIONS.get(str(kind), ("unknown expansion", f"{kind} is not understood"))
    return Refused(construct, why)


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
