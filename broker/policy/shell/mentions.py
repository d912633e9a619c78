"""The files that a command's arguments may name, for rules that deny paths.

A deny must hold for each file that the command might touch, so every reading of a word is given:
what follows ``=`` or a comma, what is attached to an option, what its globs may stand for, and,
for programs that walk trees, all that is beneath a directory. A reading too many costs little;
one too few is a hole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.policy.patterns import ALL, ANY, ONE
from broker.policy.shell import paths, ways_out
from broker.policy.shell.tree import Glob, Output, Refused, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.policy.shell.tree import Piece, Word

OPTION = 256  # characters of a short option with all that is attached to it

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/]")
_JOINTS = re.compile(r"[=,:@+]")
_ABSOLUTE = re.compile(r"/[^\s'\"`;,:=|&<>(){}]+")
_HOMES = (f"/{ANY}", f"/{ANY}/{ANY}")  # where homes are, when the target did not say
_SAME = (
    ("/var/run/", "/run/"),
    ("/var/lock/", "/run/lock/"),
    *((f"/{name}/", f"/usr/{name}/") for name in ("bin", "sbin", "lib", "lib64")),
)
_TREES = frozenset(
    (
        *("cp", "mv", "install", "rsync", "scp", "tar", "bsdtar", "zip", "7z", "7za", "7zr"),
        *("diff", "rename", "pax", "restic", "borg", "rclone", "rgrep", "rg", "ag", "ack"),
    )
)
_GREPS = frozenset(["grep", "egrep", "fgrep", "zgrep", "rgrep", "rg", "ag", "ack"])
_NO_TREES = frozenset(  # with any option they show names and sizes, or mean something else by -r
    (
        *("ls", "dir", "vdir", "stat", "du", "df", "find", "tree", "test", "[", "echo", "printf"),
        *("cd", "pwd", "mkdir", "rmdir", "readlink", "realpath", "dirname", "basename", "touch"),
        *("sed", "sort", "read", "date", "xargs", "tail", "awk", "cut", "tr", "truncate"),
    )
)
_RECURSIVE = re.compile(r"-[A-Za-z0-9]*[rR].*|--(?:rec|arch|deref).*", re.DOTALL)
_GREP_TREES = re.compile(r"-[A-Za-z0-9]*[rRd].*|--(?:rec|deref|di).*", re.DOTALL)
_LISTS = {  # options that name a file, or the input, with the names of files in it
    "wc": re.compile(r"--f.*"),
    "du": re.compile(r"--f.*"),
    "sort": re.compile(r"--fil.*"),
    "find": re.compile(r"-files0-from.*"),
    "rsync": re.compile(r"--files.*"),
    "tar": re.compile(r"-[A-Za-z0-9]*T.*|--files.*"),
}
_SAYS = frozenset(["echo", "printf", "exit", "true", "false", "cd"])


def coded(word: Word) -> str:
    """A word in which the marks of `patterns` stand for what the target's shell fills in."""
    return "".join(map(_coded, word.pieces))


def _coded(piece: Piece) -> str:
    if isinstance(piece, Value | Output):
        return ALL
    if isinstance(piece, Glob):
        return ANY if piece.text == "*" else ONE
    return piece.text


def mentioned(program: str, arguments: tuple[Word, ...], directory: str) -> Iterator[str]:
    """Each path that the arguments of a command may name when it runs in a directory."""
    name = ways_out.base(program)
    if directory == paths.LOST and name in _SAYS:
        return
    walks = _walks(name, arguments)
    if walks and name in _GREPS and directory not in (paths.START, paths.LOST):
        yield _beneath(directory)
    if name in _LISTS and any(_LISTS[name].match(coded(word)) for word in arguments):
        yield _beneath("/")
    for word in arguments:
        if word.is_unknown and name not in _SAYS:  # it may be any file, however it is written
            yield f"/{ALL}"
            continue
        for text in _readings(word):
            if not text or (directory == paths.START and not text.startswith("/")):
                continue
            path = paths.resolve(directory, text)
            yield path
            yield from other_names(path)
            if walks:
                yield _beneath(path)


def other_names(path: str) -> Iterator[str]:
    """The same file through the links that (nearly) every system has."""
    for one, other in (*_SAME, *((b, a) for a, b in _SAME)):
        if path.startswith(one):
            yield other + path.removeprefix(one)


def _walks(name: str, arguments: tuple[Word, ...]) -> bool:
    """May it touch what is in the directories that it is given, or in their directories?"""
    recursive = _GREP_TREES if name in _GREPS else _RECURSIVE
    return name in _TREES or (
        name not in _NO_TREES and any(recursive.fullmatch(coded(word)) for word in arguments)
    )


def _beneath(path: str) -> str:
    return f"{path.rstrip('/')}/{ALL}"


def _readings(word: Word) -> Iterator[str]:
    text = coded(word)
    if word.has_home:
        yield from (home + text[1:] for home in _HOMES if len(text) > len("~/"))
        return
    if _URL.match(text):
        return
    if text.startswith("-") and not text.startswith("--"):
        if len(text) > OPTION:
            raise Refused("a long option", "put what is attached to it into a word of its own")
        yield from (text[at:] for at in range(2, len(text)))
    elif not text.startswith("-"):
        yield text
    if _JOINTS.search(text):
        yield from (*text.split("=", 1)[1:], *_JOINTS.split(text)[1:])
    if text.find("/") > 0:  # in a script of another language
        yield from _ABSOLUTE.findall(text)
