"""What follows ``ssh TARGET@broker``: one SQL text, or ``psql`` with the options that are safe."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PSQL = re.compile(r"\s*psql(?:\s|$)")

# psql's lines for options without a value; () means that it is so already.
FLAGS: Mapping[str, tuple[str, ...]] = {
    "A": ("\\pset format unaligned",),
    "t": ("\\pset tuples_only on",),
    "x": ("\\pset expanded on",),
    "q": ("\\set QUIET on",),
    "X": (),
    "n": (),
    "w": (),
    "csv": ("\\pset format csv",),
}
VALUES = frozenset("cFRPv")
LONG = {
    "no-align": "A",
    "tuples-only": "t",
    "expanded": "x",
    "quiet": "q",
    "csv": "csv",
    "no-psqlrc": "X",
    "no-readline": "n",
    "no-password": "w",
    "command": "c",
    "field-separator": "F",
    "record-separator": "R",
    "pset": "P",
    "variable": "v",
    "set": "v",
}
PSET: Mapping[str, str] = {
    "border": r"[0-3]",
    "expanded": r"on|off|auto",
    "footer": r"on|off",
    "format": r"aligned|unaligned|wrapped|csv",
    "linestyle": r"ascii|old-ascii|unicode",
    "null": r"[A-Za-z0-9_.()<>-]{0,20}",
    "pager": r"off",
    "tuples_only": r"on|off",
}
# A separator is put between quotes in a line of ours; these cannot end them or mean anything.
_SEPARATOR = re.compile(r"[A-Za-z0-9 \t\n,;|/~^#@%&*+=_.<>()\[\]{}-]{0,10}")
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class PsqlRequest:
    """What to run, in order, and the lines that set psql up for it.

    No statements: they come on standard input, as psql without ``-c`` would read them.
    """

    statements: tuple[str, ...]
    settings: tuple[str, ...] = ()


def parse(command: str) -> PsqlRequest:
    """The request, or UsageError naming the option that is not offered."""
    if not _PSQL.match(command):
        return PsqlRequest((command,))
    try:
        words = shlex.split(command)[1:]
    except ValueError as error:
        msg = f"psql's options could not be read: {error}"
        raise UsageError(msg) from None
    statements: list[str] = []
    settings: list[str] = []
    for option, value in _options(words):
        if option == "c":
            statements.append(value)
        else:
            settings += _setting(option, value)
    return PsqlRequest(tuple(statements), tuple(settings))


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option as its short name and its value, as getopt would read them."""
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            option = LONG.get(name)
            if option is None or (equals and option not in VALUES):
                raise _refused(f"--{name}")
            yield option, value if equals or option not in VALUES else _next(rest, word)
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word[1:], rest)
        else:
            msg = f"psql's argument {word!r} is not available here: the target names the database"
            raise UsageError(msg)


def _short(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for index, letter in enumerate(letters):
        if letter in VALUES:
            yield letter, letters[index + 1 :] or _next(rest, f"-{letter}")
            return
        if letter not in FLAGS:
            raise _refused(f"-{letter}")
        yield letter, ""


def _next(rest: Iterator[str], option: str) -> str:
    value = next(rest, None)
    if value is None:
        msg = f"psql's option {option} needs a value"
        raise UsageError(msg)
    return value


def _setting(option: str, value: str) -> tuple[str, ...]:
    if option in FLAGS:
        return FLAGS[option]
    if option == "P":
        return (_pset(value),)
    if option == "v":
        if value in ("ON_ERROR_STOP=1", "ON_ERROR_STOP=on", "ON_ERROR_STOP=true"):
            return ()  # always so here
        raise _refused(f"-v {value.partition('=')[0]}")
    if not _SEPARATOR.fullmatch(value):
        msg = f"psql's option -{option} cannot have this separator here"
        raise UsageError(msg)
    name = "fieldsep" if option == "F" else "recordsep"
    return (f"\\pset {name} '{value.translate(_ESCAPES)}'",)


def _pset(text: str) -> str:
    name, _, value = text.partition("=")
    allowed = PSET.get(name)
    if allowed is None or not re.fullmatch(allowed, value):
        raise _refused(f"-P {name}")
    return f"\\pset {name} '{value}'"


def _refused(option: str) -> UsageError:
    return UsageError(f"psql's option {option} is not available here")
