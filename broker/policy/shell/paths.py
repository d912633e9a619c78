"""Paths in words, read from the directories in which a command may run."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from broker.policy.shell.tree import Refused

if TYPE_CHECKING:
    from broker.policy.shell.tree import Word

START = ""  # the session's first directory, when nobody asked for it
LOST = "?"  # a directory that the line itself made unknown

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/]")
_ASSIGNED = re.compile(r"(-{0,2}[A-Za-z_][A-Za-z0-9_-]*=)(.*)", re.DOTALL)
_ATTACHED = re.compile(r"-[A-Za-z](/.*)", re.DOTALL)
_WRITERS = frozenset(
    (
        *("rm", "rmdir", "unlink", "shred", "cp", "mv", "ln", "mkdir", "mkfifo", "mknod", "touch"),
        *("truncate", "tee", "dd", "install", "chmod", "chown", "chgrp", "chattr", "setfacl"),
        *("patch", "split", "csplit", "gzip", "gunzip", "bzip2", "xz", "zstd", "tar"),
    )
)


def resolve(directory: str, path: str) -> str:
    """A path from a directory, without ``.``, ``..`` and double slashes. Links are not known."""
    if path.startswith("/"):
        return _absolute(path)
    if directory == LOST:
        raise Refused("a relative path after cd", "where it leads is not certain; write it whole")
    if directory == START:
        plain = posixpath.normpath(path)
        return f"./{plain}" if plain.startswith(("~", "-")) else plain
    return _absolute(posixpath.join(directory, path))


def _absolute(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def normal(word: Word, directory: str) -> str:
    """A word as rules match it: what holds a path is normal, all else is as typed."""
    text = word.text
    if word.has_home:
        if ".." in text.split("/"):
            raise Refused("a path above the home directory", "write it whole")
        return text
    prefix, value = _value(text)
    if value not in (".", "..") and "/" not in value:
        return text
    if text.startswith("-") and not prefix:  # an option with a path attached: not ours to split
        return text
    if _URL.match(value) and ".." not in value.split("/"):
        return text
    return prefix + resolve(directory, value)


def _value(text: str) -> tuple[str, str]:
    """Take ``--name=`` or ``name=`` off a word that holds a path after it."""
    match = _ASSIGNED.fullmatch(text)
    if match and "/" not in match[1]:
        return match[1], match[2]
    return "", text


def mentioned(word: Word, directory: str) -> str | None:
    """The absolute path that an argument names, if it is one."""
    if word.has_home or word.has_glob:
        return None
    attached = _ATTACHED.fullmatch(word.text)
    value = attached[1] if attached else _value(word.text)[1]
    if not value or value.startswith("-") or "\n" in value or _URL.match(value):
        return None
    if directory in (START, LOST) and not value.startswith("/"):
        return None
    return resolve(directory, value)


def access(program: str) -> str:
    """``write`` for programs that change the files they are given, else ``read``."""
    return "write" if program in _WRITERS else "read"
