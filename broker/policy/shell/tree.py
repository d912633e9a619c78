"""The accepted language of command lines as values: what is literal, and what is named unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from broker.errors import Denied


class Refused(Denied):
    """A construct that we do not judge; `construct` names it, the sentence says why."""

    def __init__(self, construct: str, why: str) -> None:
        super().__init__(f"{construct}: {why}")
        self.construct = construct
        self.why = why


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that mean themselves."""

    text: str


@dataclass(frozen=True, slots=True)
class Glob:
    """An unquoted ``*``, ``?`` or plain ``[...]``: the target's shell matches file names."""

    text: str


@dataclass(frozen=True, slots=True)
class Home:
    """An unquoted ``~`` at the start of a word: the home directory on the target."""

    text: str = "~"


@dataclass(frozen=True, slots=True)
class Value:
    """A variable whose value only the target knows; one word whatever it is, unless `split`.

    `split` is for the words of a `for` alone, where it decides how often, not what.
    """

    name: str
    split: bool = False

    @property
    def text(self) -> str:
        """As rules and readers see it: never the text of any real word."""
        return f"⟨${self.name}⟩"


@dataclass(frozen=True, slots=True)
class Output:
    """``$(...)``: what these commands print; `split` as in `Value`."""

    body: Node
    split: bool = False

    @property
    def text(self) -> str:
        """As rules and readers see it."""
        return "⟨output⟩"


@dataclass(frozen=True, slots=True)
class Word:
    """One word. Neighbouring texts are one piece; an empty word has no piece."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The word as a reader sees it, quotes removed."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def literal(self) -> str | None:
        """The word when it can mean only itself, else None."""
        return self.text if all(isinstance(piece, Text) for piece in self.pieces) else None

    @property
    def has_glob(self) -> bool:
        """Does the target's shell match file names against it?"""
        return any(isinstance(piece, Glob) for piece in self.pieces)

    @property
    def is_unknown(self) -> bool:
        """Does it hold something whose text only the target knows?"""
        return any(isinstance(piece, Value | Output) for piece in self.pieces)

    @property
    def bodies(self) -> tuple[Node, ...]:
        """The commands that are run to make this word."""
        return tuple(piece.body for piece in self.pieces if isinstance(piece, Output))

    @property
    def has_home(self) -> bool:
        """Does it begin with the home directory?"""
        return any(isinstance(piece, Home) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class File:
    """A redirection to or from a file: `op` is ``<``, ``>`` or ``>>``."""

    fd: int
    op: str
    path: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A redirection to another descriptor (``2>&1``), or to ``-``, which closes."""

    fd: int
    op: str
    to: str


@dataclass(frozen=True, slots=True)
class Here:
    """A here-document or here-string: literal input, empty or ending in a newline."""

    fd: int
    body: str


Piece: TypeAlias = Text | Glob | Home | Value | Output
Redirect: TypeAlias = File | Duplicate | Here


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command: words, redirections, and variables set for it alone."""

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """``export NAME=value ...``: values are literal."""

    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Assign:
    """``NAME=value ...`` with no command: variables of the shell that runs this line."""

    variables: tuple[tuple[str, Word], ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """``time COMMAND`` for one simple command."""

    body: Simple
    posix: bool = False


@dataclass(frozen=True, slots=True)
class Subshell:
    """``( ... )``."""

    body: Node
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """``{ ...; }``."""

    body: Node
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    """``if``/``elif`` branches in order, each (condition, body), and the ``else``."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None = None
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class While:
    """``while`` or ``until``."""

    condition: Node
    body: Node
    until: bool = False
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    """``for NAME in WORDS``, where the words are not known, or the body may leave early."""

    name: str
    words: tuple[Word, ...]
    body: Node
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """``case``: the branches in order, each (patterns, body)."""

    subject: Word
    branches: tuple[tuple[tuple[Word, ...], Node], ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Two or more commands joined by ``|``."""

    stages: tuple[Simple | Compound, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """``! ...``."""

    body: Simple | Compound | Pipeline | Timed


@dataclass(frozen=True, slots=True)
class AndOr:
    """``left && right`` or ``left || right``; chains lean to the left."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Sequence:
    """Statements one after another: none, or two and more (one stands for itself)."""

    items: tuple[Node, ...]


Compound: TypeAlias = Subshell | Group | If | While | For | Case
Node: TypeAlias = Simple | Compound | Export | Assign | Timed | Pipeline | Not | AndOr | Sequence
