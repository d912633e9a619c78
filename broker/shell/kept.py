"""The builtins that the session keeps itself, because they must outlast their line.

They are judged like any line. `cd` is tried on the target, which answers with the directory's
true name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from broker.console.telling import PREFIX, visible
from broker.policy.shell import emit
from broker.policy.shell.tree import Assign, Export, Simple, Text, Word
from broker.shell.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from broker.policy.shell.tree import Node
    from broker.shell.lines import Lines

    Act = Callable[[], Awaitable[int]]

ANSWER = 8192  # bytes of a directory's name


class Leave(Exception):
    """The person asked to leave: `exit`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Kept:
    """Knows which lines are ours to carry out."""

    def __init__(self, lines: Lines, history: list[str]) -> None:
        self._lines = lines
        self.history = history
        self.status = 0

    def match(self, node: Node) -> Act | None:
        """How to carry this line out, or None when the target runs it."""
        if isinstance(node, Export):
            return partial(self._export, node)
        if isinstance(node, Assign):
            return partial(self._assign, node)
        if not isinstance(node, Simple) or node.redirects or node.variables or not node.words:
            return None
        arguments = node.words[1:]
        literal = [word.literal for word in arguments]
        acts: dict[str, tuple[bool, Act]] = {
            "cd": (len(arguments) <= 1, partial(self._cd, arguments)),
            "pwd": (not arguments, self._pwd),
            "unset": (True, partial(self._unset, arguments)),
            "umask": (_is_mask(literal), partial(self._umask, arguments)),
            "history": (not arguments, self._history),
            "exit": (_is_status(literal), partial(self._exit, arguments)),
            "logout": (not arguments, partial(self._exit, arguments)),
        }
        fits, act = acts.get(node.words[0].text, (False, None))
        return act if fits else None

    async def _export(self, node: Export) -> int:
        self._lines.place = self._lines.place.exporting(node.variables)
        return 0

    async def _assign(self, node: Assign) -> int:
        variables = tuple((name, word.text) for name, word in node.variables)
        self._lines.place = self._lines.place.assigning(variables)
        return 0

    async def _unset(self, names: tuple[Word, ...]) -> int:
        self._lines.place = self._lines.place.without(tuple(name.text for name in names))
        return 0

    async def _umask(self, arguments: tuple[Word, ...]) -> int:
        self._lines.place = replace(self._lines.place, umask=arguments[0].text)
        return 0

    async def _exit(self, arguments: tuple[Word, ...]) -> int:
        raise Leave(int(arguments[0].text) % 256 if arguments else self.status)

    async def _pwd(self) -> int:
        return await self._print(f"{visible(self._lines.place.cwd or '?')}\n")

    async def _history(self) -> int:
        numbered = (f"{at:5}  {line}\n" for at, line in enumerate(self.history, 1))
        return await self._print("".join(map(visible, numbered)))

    async def _print(self, text: str) -> int:
        lines = self._lines
        if lines.client.terminal is not None:
            text = text.replace("\n", "\r\n")
        await lines.client.write(lines.gate.said(text))
        return 0

    async def _cd(self, arguments: tuple[Word, ...]) -> int:
        lines = self._lines
        where = arguments[0] if arguments else None
        if where is not None and where.text == "-":
            if lines.place.previous is None:
                await lines.asking.tell(f"{PREFIX}cd: there is no previous directory")
                return 1
            where = Word((Text(lines.place.previous),))
        change = "cd" if where is None else emit(Simple((*_plain("cd", "--"), where)))
        status, cwd = await self._asked(lines.place.wrap(f"{change} && pwd -P"))
        if status:
            return status
        if not cwd.startswith("/") or not cwd.isprintable():
            await lines.asking.tell(f"{PREFIX}cd: the target did not say where it is now")
            return 1
        lines.place = lines.place.moved(cwd)
        return 0

    async def _asked(self, command: str) -> tuple[int, str]:
        """Run a line of our own; its output is for us, its errors for the person."""
        lines = self._lines
        answer = bytearray()

        async def keep(data: bytes, /) -> None:
            answer.extend(data[: ANSWER - len(answer)])

        error = Outlet(lines.gate.stream(), lines.client.write_error)
        status = await lines.runner.run(
            command,
            stdin=None,
            stdout=keep,
            stderr=error,
            terminal=None,
            controls=lines.controls,
        )
        await error.finish()
        return status, answer.decode(errors="replace").removesuffix("\n")


def _plain(*texts: str) -> tuple[Word, ...]:
    return tuple(Word((Text(text),)) for text in texts)


def _is_mask(literal: list[str | None]) -> bool:
    return len(literal) == 1 and re.fullmatch(r"[0-7]{1,4}", literal[0] or "") is not None


def _is_status(literal: list[str | None]) -> bool:
    return not literal or (
        len(literal) == 1 and re.fullmatch(r"\d{1,3}", literal[0] or "") is not None
    )
