"""Paths in words, read from the directories in which a command may run."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from broker.policy import patterns
from broker.policy.shell.tree import Refused

if TYPE_CHECKING:
    from broker.policy.shell.tree import Word

START = ""  # the session's first directory, when nobody asked for it
LOST = "?"  # a directory that the line itself made unknown

_MAGIC = tuple(
    f"/proc/*/{middle}{link}"
    for middle in ("", "task/*/")
    for link in ("root", "cwd", "fd", "map_files")
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/]")
_ASSIGNED = re.compile(r"(-{0,2}[A-Za-z_][A-Za-z0-9_-]*=)(.*)", re.DOTALL)
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
    if "/proc/" in path or patterns.MARK in path:
        _check_links(path)
    return "/" + posixpath.normpath(path).lstrip("/")


def _check_links(path: str) -> None:
    """Refuse the kernel's links, which lead to files that the path does not name."""
    passed = ""
    *before, _ = [part for part in path.split("/") if part not in ("", ".")] or [""]
    for part in before:
        passed = posixpath.dirname(passed) if part == ".." else f"{passed}/{part}"
        if 3 <= passed.count("/") <= 5 and any(patterns.meets(each, passed) for each in _MAGIC):
            raise Refused("a path through a process", "write where the file is itself")


def normal(word: Word, directory: str) -> str:
    """A word as rules match it: what holds a path is normal, all else is as typed."""
    text = word.text
    if word.has_home:
        if ".." in text.split("/"):
            raise Refused("a path above the home directory", "write it whole")
        return text
    if word.is_unknown:
        if ".." in text.split("/"):
            raise Refused("a path above one that is not known", "write it whole")
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


def access(program: str) -> str:
    """``write`` for programs that change the files they are given, else ``read``."""
    return "write" if program in _WRITERS else "read"
