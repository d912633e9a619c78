"""Which of psql's meta-commands a person may use: whole lines from a list, all others refused.

A line is one command with plain words: no quotes, variables, backticks, pipes, or second command.
Nothing in it has a meaning that the words do not show. The line for psql is built anew from its
parts, out of the characters in `SAFE`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping

RULE = "meta-commands"  # named in the verdict of a refused one
SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.*?+-=,!()<>/\\ ")
LENGTH_LIMIT = 300

_LINE = re.compile(r"\\([A-Za-z]+\+?|\?)(?:[ \t]+(.*))?")
_PATTERN = r"[A-Za-z0-9_.*?]{1,130}"
_SWITCH = r"(?:on|off)"
_DESCRIBE = re.compile(
    r"d(?:[tvmsiE]{0,6}|[aABCDFgLnOpPTuXxy]|A[cfop]|F[dpt]|f[anptw]{0,5}|[bcdo]|dp|config|e[stuw]|r[dg]s?|R[ps])"
    r"[Sx]{0,2}\+?"
)
# Each command's words, as one pattern over all of them.
_WORDS: Mapping[str, str] = {
    "l": f"(?:{_PATTERN})?",
    "l+": f"(?:{_PATTERN})?",
    "z": f"(?:{_PATTERN})?",
    "x": "(?:on|off|auto)?",
    "a": "",
    "t": f"{_SWITCH}?",
    "timing": f"{_SWITCH}?",
    "conninfo": "",
    "encoding": "",
    "errverbose": "",
    "echo": r"(?!-)[A-Za-z0-9_.,!?=+\- ]*",
    "q": "",
    "?": "(?:commands|options|variables)?",
    "h": r"[A-Za-z *]*",
    "pset": (
        r"border [0-3]|format (?:aligned|unaligned|wrapped|csv)|null [A-Za-z0-9_.()<>\-]{1,20}"
        rf"|expanded (?:on|off|auto)|footer {_SWITCH}|tuples_only {_SWITCH}"
        r"|linestyle (?:ascii|old-ascii|unicode)|fieldsep [,;_\-]"
    ),
}

HELP: Mapping[str, str] = {
    "\\d [NAME]": "a table's columns, or the list of tables; add + for more",
    "\\dt \\dv \\di \\ds \\dm": "tables, views, indexes, sequences, materialised views",
    "\\dn \\df \\du \\dp \\dT": "schemas, functions, roles, privileges, types (all of \\d*)",
    "\\l": "databases",
    "\\x [on|off|auto]": "one column a line; auto: where rows are wider than the window",
    "\\timing [on|off]": "how long each statement took",
    "\\pset OPTION VALUE": "border format null expanded footer linestyle tuples_only fieldsep",
    "\\a \\t": "unaligned output; rows only",
    "\\h [COMMAND]": "the grammar of an SQL command",
    "\\conninfo \\encoding \\errverbose": "the connection, the encoding, the last error in full",
    "\\echo TEXT": "print a text",
    "\\q": "leave (also quit, exit, Ctrl-D)",
}
OFFERED = (
    *(
        "\\d",
        "\\d+",
        "\\dt",
        "\\dt+",
        "\\dv",
        "\\di",
        "\\ds",
        "\\dm",
        "\\dn",
        "\\df",
        "\\du",
        "\\dp",
    ),
    *("\\dT", "\\dx", "\\l", "\\z", "\\x", "\\a", "\\t", "\\timing", "\\pset", "\\conninfo"),
    *("\\encoding", "\\errverbose", "\\echo", "\\h", "\\q", "\\?"),
)  # what Tab offers of it


def help_text() -> str:
    """What ``\\?`` shows: the meta-commands that there are here, and the keys."""
    width = max(map(len, HELP)) + 2
    lines = [f"  {name:<{width}}{meaning}" for name, meaning in HELP.items()]
    return "\n".join(["Meta-commands, each on a line of its own:", *lines, ""])


@dataclass(frozen=True, slots=True)
class MetaCommand:
    """A meta-command that may be run: its name, and the line to give psql."""

    name: str
    line: str

    @property
    def quits(self) -> bool:
        """Does it end the session? Then it is not given to psql at all."""
        return self.name == "q"


def is_meta(line: str) -> bool:
    """Does a line at a ready prompt begin a meta-command?"""
    return line.lstrip().startswith("\\")


def parse(line: str) -> MetaCommand:
    """The command, or Denied with a sentence that names it."""
    text = " ".join(line.split()) if line.isprintable() or "\t" in line else line
    match = _LINE.fullmatch(text) if len(text) <= LENGTH_LIMIT else None
    if match is None:
        raise Denied(_sentence(line))
    name, words = match[1], match[2] or ""
    if not _allowed(name, words):
        raise Denied(_sentence(line))
    line = f"\\{name} {words}".rstrip()
    if not SAFE.issuperset(line):
        raise Denied(_sentence(line))
    return MetaCommand(name, line)


def _allowed(name: str, words: str) -> bool:
    if _DESCRIBE.fullmatch(name):
        return re.fullmatch(f"(?:{_PATTERN}(?: {_PATTERN}){{0,3}})?", words) is not None
    pattern = _WORDS.get(name)
    return pattern is not None and re.fullmatch(pattern, words) is not None


def _sentence(line: str) -> str:
    name = re.match(r"\s*\\([A-Za-z_+]{1,20}|.)?", line)
    named = name[1] if name is not None and name[1] and name[1].isprintable() else ""
    known = named in _WORDS or _DESCRIBE.fullmatch(named) is not None
    if known:
        return f"\\{named} is not available in this form here: only plain words, without quotes"
    return f"the meta-command \\{named} is not available here; \\? lists those that are"
