"""Completion at the shell prompt: commands that the rules name, and paths on the target.

Paths are asked of the target by an `ls` that is judged and audited like any line, and only when the
rules allow it outright: nobody is asked, and nothing is listed that the person could not list.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from typing import TYPE_CHECKING

from broker.console.completing import Found
from broker.errors import TargetUnreachable
from broker.model import Answer, Language, Statement
from broker.policy import patterns
from broker.policy.shell import emit
from broker.policy.shell.tree import Simple, Text, Word
from broker.shell.runner import Controls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from broker.shell.lines import Lines

OURS = ("exit", "history", "pwd", "set -o emacs", "set -o vi")  # harmless, and answered by us
LISTING = 256 * 1024  # bytes of one listing that are read
FRESH_SECONDS = 5.0
_BEGINS = re.compile(r"[|;&(\n]")
_WORDS = re.compile(r"(?:\\.|[^\s\\])+")
_LAST = re.compile(r"(?:\\.|[^\s\\])*$", re.DOTALL)
_SPECIAL = re.compile(r"([^\w@%+=:,./-])")
_NOT_LITERAL = re.compile(r"[~$`'\"*?\[<>]")


class Completer:
    """Answers for one session."""

    def __init__(self, lines: Lines, commands: Sequence[str]) -> None:
        self._lines = lines
        self._commands = [pattern.split() for pattern in commands]
        self._listed: dict[str, tuple[float, tuple[str, ...]]] = {}

    def __call__(self, before: str) -> Found | Awaitable[Found]:
        """What may stand at the end of this text; paths are an answer that comes later."""
        command = _BEGINS.split(before)[-1]
        last = _LAST.search(command)
        word = last[0] if last is not None else ""
        words = [_plain(each) for each in _WORDS.findall(command[: len(command) - len(word)])]
        named = tuple(sorted(set(self._named(words, word))))
        is_path = bool(words) or "/" in word
        if not is_path or not self._lines.runner.has_shell or _NOT_LITERAL.search(command):
            return Found(word, named)
        return self._with_paths(words, word, named)

    def _named(self, words: list[str], word: str) -> Iterator[str]:
        """The next word of each pattern that what was typed fits so far."""
        for pattern in self._commands:
            if len(pattern) > len(words) and all(map(_fits, pattern, words)):
                following = pattern[len(words)]
                if "*" not in following and following.startswith(word):
                    yield following
        if not words:
            yield from (each for each in OURS if each.startswith(word))

    # -- paths ---------------------------------------------------------------------------------

    async def _with_paths(self, words: list[str], word: str, named: tuple[str, ...]) -> Found:
        folder, begins = posixpath.split(_plain(word))
        where = posixpath.join(self._lines.place.cwd or "/", folder)
        names = await self._names(posixpath.normpath(where))
        typed = word[: word.rfind("/") + 1]
        only_folders = words[:1] == ["cd"]
        paths = (
            typed + _SPECIAL.sub(r"\\\1", name)
            for name in names
            if name.startswith(begins)
            and (begins or not name.startswith("."))
            and (name.endswith("/") or not only_folders)
        )
        return Found(word, tuple(dict.fromkeys((*named, *paths))))

    async def _names(self, folder: str) -> tuple[str, ...]:
        """What is in a directory, as far as it may be listed and shown; kept for a moment."""
        now = asyncio.get_running_loop().time()
        at, names = self._listed.get(folder, (now - FRESH_SECONDS, ()))
        if now - at >= FRESH_SECONDS:
            listing = await self._list(folder)
            names = tuple(each for each in listing.split("\n") if self._may_be_offered(each))
            self._listed = {folder: (now, names)}
        return names

    def _may_be_offered(self, name: str) -> bool:
        plain = name.isprintable() and name not in ("", "./", "../")
        return plain and self._lines.gate.may_show(name)

    async def _list(self, folder: str) -> str:
        """The names in a directory, one a line; empty when the rules do not allow to list it."""
        gate = self._lines.gate
        for options in (("-ap",), ()):
            text = emit(_command("ls", *options, folder))
            statement = Statement(Language.SHELL, text, cwd=self._lines.place.cwd)
            if gate.foresee(statement).answer is Answer.ALLOW:
                verdict = await gate.admit(statement)
                return await self._run(text) if verdict.answer is Answer.ALLOW else ""
        return ""

    async def _run(self, text: str) -> str:
        answer = bytearray()

        async def keep(data: bytes, /) -> None:
            answer.extend(data[: LISTING - len(answer)])

        async def drop(_data: bytes, /) -> None:
            """Its errors are nobody's: a directory that is not there completes to nothing."""

        try:
            await self._lines.runner.run(
                text, stdin=None, stdout=keep, stderr=drop, terminal=None, controls=Controls()
            )
        except TargetUnreachable:
            return ""
        return answer.decode(errors="replace")


def _command(*words: str) -> Simple:
    return Simple(tuple(Word((Text(word),)) for word in words))


def _plain(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL)


def _fits(wanted: str, word: str) -> bool:
    return wanted != "**" and patterns.path(wanted, word)
