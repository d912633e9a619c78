"""Pages long output to a person: space, b, q, /, arrows. No program of the target's choice does.

Output is given to it piece by piece. When a page is full it reads no more until a key asks for
it, so whoever makes the output waits, and what nobody asked for is neither recorded nor shown.
What is drawn again (going back, moving sideways) is recorded as any sentence of ours is.
"""

from __future__ import annotations

import asyncio
import re
from enum import Enum
from typing import TYPE_CHECKING

from broker.console.keys import PASTE, Keys
from broker.console.pages import Pages

if TYPE_CHECKING:
    from broker.console.client import Client
    from broker.console.keys import Key
    from broker.gate import Gate

MORE, END = "--More--", "(END)"
CLEAR, ERASE = "\x1b[H\x1b[2J", "\r\x1b[K"
FOOTER = re.compile(rb"^\(\d+ rows?\)\r?\n", re.MULTILINE)
PATTERN_LIMIT = 60
HELP = "space on  b back  arrows  /word n N  g G  q quit"
BELL = b"\x07"
_COMMANDS = {
    **dict.fromkeys((" ", "f", "c-f"), "page"),
    **dict.fromkeys(("enter", "j", "down"), "line"),
    **dict.fromkeys(("b", "u", "c-b"), "back"),
    **dict.fromkeys(("k", "up"), "up"),
    **dict.fromkeys(("g", "home"), "top"),
    **dict.fromkeys(("G", "end"), "last"),
    **dict.fromkeys(("/", "n", "N"), "search"),
    **dict.fromkeys(("q", "Q", "c-c", "c-d"), "leave"),
    "right": "right",
    "left": "left",
    "c-l": "draw",
}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Going(Enum):
    """What the person asked for last."""

    PAGES = "one page after another"
    SEEKING = "to the word that is sought"
    TO_END = "to the end"
    LEFT = "no further: the rest is dropped"


class Pager:
    """One person's pager; between results it is nothing but counting."""

    def __init__(self, client: Client, gate: Gate) -> None:
        self._client = client
        self._gate = gate
        self._keys = Keys()
        self._typed = asyncio.Event()
        self._abandoned = False
        self.waiting = False
        self._begin()

    def _begin(self) -> None:
        self._pages = Pages()
        self._going = Going.PAGES
        self._room = self._rows
        self._paged = False
        self._asked_for = False  # the person asked for more than fits
        self._line = ""  # what came of a line that has not ended
        self._word = ""
        self._tail = b""

    @property
    def left(self) -> bool:
        """Did the person leave this result, whose rest is dropped?"""
        return self._going is Going.LEFT

    # -- the output's side ---------------------------------------------------------------------

    async def next(self, data: bytes) -> tuple[bytes, bytes]:
        """Wait for room; what of the data to show now (it may be nothing), and what is left."""
        if self._going is Going.LEFT:
            return b"", self._dropped(data)
        size = self._fitting(data)
        if size == 0:
            await self._ask(f"{MORE} {HELP}")
        self._asked_for = size == 0
        return data[:size], data[size:]

    async def write(self, data: bytes) -> None:
        """Masked and recorded output for the person."""
        if self._going is Going.LEFT:
            return
        raw = self._going is Going.PAGES and self._pages.shift is None
        if raw:
            await self._client.write(data)
        *lines, self._line = (self._line + data.decode("utf-8", "replace")).split("\n")
        for line in lines:
            await self._add(_CONTROL.sub("", line), raw=raw)

    async def _add(self, line: str, *, raw: bool) -> None:
        shown = self._going is Going.PAGES
        self._pages.add(line, in_view=shown)
        if shown:
            self._room -= self._pages.rows_of(line, self._columns)
            self._pages.scroll(self._rows, self._columns)
            if not raw:
                await self._say(f"{self._pages.cut(line, self._columns)}\r\n")
        elif self._going is Going.SEEKING and self._pages.holds(len(self._pages) - 1, self._word):
            await self._go(len(self._pages) - 1)

    async def end(self) -> None:
        """The result is complete: when it was paged, stay until the person leaves it."""
        try:
            if self._paged:
                await self._stay()
        finally:
            self._begin()

    async def _stay(self) -> None:
        while self._going is not Going.LEFT:
            note = "not found " if self._going is Going.SEEKING else ""
            if self._going is not Going.PAGES:
                self._going = Going.PAGES
                self._pages.ending_at(len(self._pages), self._rows, self._columns)
                await self._redraw()
            self._room = 0
            await self._ask(f"{note}{END} {HELP}")
            if self._going is Going.PAGES and self._room > 0:  # space at the end leaves, too
                return

    def _fitting(self, data: bytes) -> int:
        """How many bytes fit on the page; a line that was asked for is taken whatever its length.

        While a word is sought it is a page at a time, so that no more than one follows the word.
        """
        if self._going is Going.TO_END:
            return len(data)
        whole = self._going is Going.SEEKING
        room, at = (self._rows if whole else self._room), 0
        while True:
            end = data.find(b"\n", at)
            line = data[at : end if end >= 0 else len(data)]
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            rows = self._pages.rows_of(text, self._columns)
            first = at == 0 and (whole or self._asked_for or self._room >= self._rows)
            if rows > room and not first:
                return at
            if end < 0 or end + 1 == len(data):
                return len(data)
            room -= rows
            at = end + 1

    def _dropped(self, data: bytes) -> bytes:
        """What follows the result that the person left: its footer ends it."""
        data = self._tail + data
        match = FOOTER.search(data)
        if match is None:
            self._tail = data[data.rfind(b"\n") + 1 :][-64:]
            return b""
        self._begin()
        return data[match.end() :]

    # -- the person's side ---------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Keys typed while `waiting`."""
        self._keys.feed(data)
        self._typed.set()

    def leave(self) -> None:
        """Ctrl-C, or nobody is there: no more of this result."""
        self._abandoned = True
        self._typed.set()

    def unread(self) -> bytes:
        """Keys that nobody used: they are for the next prompt."""
        return self._keys.take_all()

    def resized(self) -> None:
        """The window has another size."""
        if self.waiting:
            self._keys.feed(b"\x0c")
            self._typed.set()

    async def _ask(self, status: str) -> None:
        """Show the status, and act on keys until output may go on (or the result is left)."""
        self._paged = True
        self.waiting = True
        try:
            await self._say(status[: self._columns - 1])
            while not await self._act(await self._key()):
                await self._say(ERASE + status[: self._columns - 1])
            if self._going in (Going.PAGES, Going.LEFT):
                await self._say(ERASE)
        finally:
            self.waiting = False

    async def _key(self) -> str:
        """The next key: a letter, or a name."""
        key = await self._next_key()
        if key is None:
            return "q"
        if key.name != PASTE:
            return key.name
        if key.pasted:
            return ""
        rest = key.text[1:].encode()
        self._keys.give_back(rest)
        return key.text[0]

    async def _next_key(self) -> Key | None:
        while not self._abandoned:
            if (key := self._keys.next()) is not None:
                return key
            self._typed.clear()
            await self._typed.wait()
        self._abandoned = False
        return None

    async def _act(self, key: str) -> bool:
        """Do what a key asks for; True when that needs more output."""
        name = _COMMANDS.get(key)
        if name is None:
            await self._client.write(BELL)
            return False
        match name:
            case "leave":
                self._going = Going.LEFT
                return True
            case "page" | "line":
                return await self._forward(self._rows if name == "page" else 1)
            case "back" | "up" | "top":
                await self._back(name)
            case "right" | "left":
                await self._sideways(1 if name == "right" else -1)
            case "last":
                self._going = Going.TO_END
                await self._say(f"{ERASE}...")
                return True
            case "draw":
                await self._go(self._pages.top)
            case _:
                return await self._search(key)
        return False

    async def _forward(self, rows: int) -> bool:
        if self._pages.at_end:
            self._room = rows
            return True
        step = 1 if rows == 1 else self._pages.bottom - self._pages.top
        self._pages.place(self._pages.top + step, self._rows, self._columns)
        await self._redraw()
        return False

    async def _back(self, how: str) -> None:
        pages = self._pages
        if pages.top == 0:
            await self._client.write(BELL)
            return
        if how == "back":
            pages.ending_at(pages.top, self._rows, self._columns)
        else:
            pages.place(pages.top - 1 if how == "up" else 0, self._rows, self._columns)
        await self._redraw()

    async def _sideways(self, direction: int) -> None:
        shift = (self._pages.shift or 0) + direction * max(1, self._columns // 2)
        self._pages.shift = shift if shift > 0 else None
        await self._go(self._pages.top)

    async def _search(self, key: str) -> bool:
        if key == "/":
            self._word = await self._asked()
        if not self._word:
            return False
        if key == "N":
            found = self._pages.find(self._word, self._pages.top - 1, back=True)
        else:
            found = self._pages.find(self._word, self._pages.top + 1)
        if found is not None:
            await self._go(found)
            return False
        if key == "N":
            await self._client.write(BELL)
            return False
        self._going = Going.SEEKING
        await self._say(f"{ERASE}...")
        return True

    async def _asked(self) -> str:
        """The word to look for, typed on the status line; empty when given up."""
        word = ""
        while True:
            await self._say(f"{ERASE}/{word[-(self._columns - 2) :]}")
            key = await self._key()
            if key == "enter":
                return word
            if key in ("c-c", "c-g") or (key == "backspace" and not word):
                return ""
            if key == "backspace":
                word = word[:-1]
            elif len(key) == 1 and key.isprintable() and len(word) < PATTERN_LIMIT:
                word += key

    # -- drawing -------------------------------------------------------------------------------

    async def _go(self, line: int) -> None:
        self._going = Going.PAGES
        self._pages.place(line, self._rows, self._columns)
        await self._redraw()

    async def _redraw(self) -> None:
        await self._say(CLEAR + self._pages.drawn(self._columns))
        self._room = self._rows - self._pages.rows_in_view(self._columns)

    async def _say(self, text: str) -> None:
        await self._client.write(self._gate.said(text))

    @property
    def _columns(self) -> int:
        terminal = self._client.terminal
        return max(terminal.columns, 10) if terminal else 80

    @property
    def _rows(self) -> int:
        """Rows of a page: one is for the status."""
        terminal = self._client.terminal
        return max(terminal.rows - 1, 1) if terminal else 23
