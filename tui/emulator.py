"""A terminal in memory: recorded output goes in, rows of cells come out, nothing else ever does.

The output of a target is hostile. What it makes the emulator do ends here: titles, clipboards,
answers and modes have nowhere to go. What the emulator cannot digest is left out and counted;
it never stops a playback. Known limits: the alternate screen is not kept apart from the main one.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from typing import TYPE_CHECKING

import pyte
from wcwidth import wcwidth

from tui import text

if TYPE_CHECKING:
    from pyte.screens import Char
    from textual.content import Content

COLUMNS_LIMIT, ROWS_LIMIT = 500, 200
MARKS_IN_CELL = 4  # combining marks in one cell; normalising a long run of them takes for ever
SAVEPOINTS = 16

_HEX = re.compile("[0-9a-f]{6}")
_NAMED = {"brown": "yellow", "brightbrown": "bright_yellow", "bfightmagenta": "bright_magenta"}
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")


class _Screen(pyte.Screen):
    """pyte's screen, with bounds where a hostile recording could make it slow or large."""

    def draw(self, data: str) -> None:
        if data.isascii():
            super().draw(data)
            return
        for char in data:
            if self._drawable(char):
                super().draw(char)

    def _drawable(self, char: str) -> bool:
        width = wcwidth(char)
        if width != 0:
            return width > 0  # pyte gives up on the rest of a text at a character without width
        if not unicodedata.combining(char) or not self.cursor.x:
            return False
        # A mark joins the cell before; the second half of a wide character has nothing to join.
        return 1 <= len(self.buffer[self.cursor.y][self.cursor.x - 1].data) <= MARKS_IN_CELL

    def save_cursor(self) -> None:
        super().save_cursor()
        del self.savepoints[:-SAVEPOINTS]


class _Stream(pyte.Stream):
    """pyte's parser, which outlives sequences that its screen cannot digest (``ESC [ ? 4 m``)."""

    trouble = 0

    def _send_to_parser(self, data: str) -> bool | None:
        try:
            return super()._send_to_parser(data)
        except (TypeError, ValueError, LookupError, AttributeError, AssertionError):
            self.trouble += 1  # the parser has already begun anew, after the sequence
            return True

    @property
    def between_sequences(self) -> bool:
        """Is no escape sequence half read?"""
        return bool(self._taking_plain_text)


class Emulator:
    """One terminal. `feed` takes anything."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        columns, rows = _bounded(columns, rows)
        self._screen = _Screen(columns, rows)
        self._stream = _Stream(self._screen)

    @property
    def columns(self) -> int:
        """Its width in cells."""
        return self._screen.columns

    @property
    def lines(self) -> int:
        """Its height in cells."""
        return self._screen.lines

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor."""
        return self._screen.cursor.y, self._screen.cursor.x

    @property
    def trouble(self) -> int:
        """How many sequences were left out."""
        return self._stream.trouble

    def feed(self, data: str) -> None:
        """Recorded output, cut anywhere."""
        try:
            self._stream.feed(data)
        except (TypeError, ValueError, LookupError, AttributeError, AssertionError):
            self._stream.trouble += 1  # while drawing text: what is left of this piece is lost

    def resize(self, size: str) -> None:
        """A recorded change of size, ``COLSxROWS``."""
        if found := _SIZE.fullmatch(size):
            columns, rows = _bounded(int(found[1]), int(found[2]))
            self._screen.resize(lines=rows, columns=columns)
            self._screen.cursor.x = min(self._screen.cursor.x, columns)
            self._screen.cursor.y = min(self._screen.cursor.y, rows - 1)

    def shown(self) -> list[Content]:
        """Its rows, ready to be looked at."""
        buffer, columns = self._screen.buffer, range(self._screen.columns)
        return [
            text.cells((char.data, _style(char)) for x in columns if (char := buffer[y][x]).data)
            for y in range(self._screen.lines)
        ]

    def fork(self) -> Emulator | None:
        """A copy to come back to; None while an escape sequence is half read."""
        if not self._stream.between_sequences:
            return None
        twin = Emulator(self.columns, self.lines)
        mine, its = self._screen, twin._screen
        for y, row in mine.buffer.items():
            its.buffer[y].update(row)
        its.cursor = copy.copy(mine.cursor)
        its.mode, its.tabstops = set(mine.mode), set(mine.tabstops)
        its.savepoints, its.saved_columns = list(mine.savepoints), mine.saved_columns
        its.margins, its.charset = mine.margins, mine.charset
        its.g0_charset, its.g1_charset = mine.g0_charset, mine.g1_charset
        twin._stream.trouble = self._stream.trouble
        return twin


def _bounded(columns: int, rows: int) -> tuple[int, int]:
    return max(1, min(columns, COLUMNS_LIMIT)), max(1, min(rows, ROWS_LIMIT))


def _style(char: Char) -> str:
    if char.fg == char.bg == "default" and not any(char[3:]):
        return ""
    flags = [
        name
        for name, on in (
            ("bold", char.bold),
            ("italic", char.italics),
            ("underline", char.underscore),
            ("strike", char.strikethrough),
            ("reverse", char.reverse),
        )
        if on
    ]
    return " ".join([*flags, _color(char.fg), "on", _color(char.bg)])


def _color(name: str) -> str:
    if _HEX.fullmatch(name):
        return f"#{name}"
    if not name.isalpha():  # a colour out of range; pyte computes it without a look
        return "ansi_default"
    bright = name.startswith("bright") and name not in _NAMED
    return "ansi_" + _NAMED.get(name, name.replace("bright", "bright_") if bright else name)
