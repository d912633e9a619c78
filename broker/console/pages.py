"""Long output as a pager sees it: lines, which of them are in the window, and how they are drawn.

Values only; `pager` reads the keys and writes the bytes.
"""

from __future__ import annotations

from prompt_toolkit.utils import get_cwidth

LINES = 50_000  # kept for going back
CHARACTERS = 8 * 1024 * 1024
LINE = 32 * 1024  # characters of one line that are kept


class Pages:
    """The lines of one result, and a view of some of them.

    Lines are wrapped as a terminal does it, or, once moved sideways, cut at the window's edges.
    """

    def __init__(self) -> None:
        self.top = 0  # the first line in view
        self.bottom = 0  # the first line below it
        self.shift: int | None = None  # columns to the left of the view; None: lines are wrapped
        self._lines: list[str] = []
        self._size = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def at_end(self) -> bool:
        """Is the last line that came in view?"""
        return self.bottom >= len(self._lines)

    def add(self, line: str, *, in_view: bool) -> None:
        """One more line; `in_view` when it was written below what is in view."""
        follows = in_view and self.at_end
        self._lines.append(line[:LINE])
        self._size += len(self._lines[-1])
        if follows:
            self.bottom = len(self._lines)
        if len(self._lines) > LINES or self._size > CHARACTERS:
            self._forget(max(1, len(self._lines) // 10))

    def scroll(self, rows: int, columns: int) -> None:
        """Lines left the window at its top, as others came at its end."""
        used = self.rows_in_view(columns)
        while used > rows and self.top < self.bottom - 1:
            used -= self.rows_of(self._lines[self.top], columns)
            self.top += 1

    def _forget(self, count: int) -> None:
        self._size -= sum(map(len, self._lines[:count]))
        del self._lines[:count]
        self.top, self.bottom = max(0, self.top - count), max(0, self.bottom - count)

    def rows_of(self, line: str, columns: int) -> int:
        """How many rows of the window a line takes."""
        if self.shift is not None:
            return 1
        return max(1, -(-width(line) // columns))

    def place(self, top: int, rows: int, columns: int) -> None:
        """Let the view begin at a line."""
        self.top = max(0, min(top, len(self._lines) - 1))
        self.bottom = self.top
        while rows > 0 and self.bottom < len(self._lines):
            rows -= self.rows_of(self._lines[self.bottom], columns)
            if rows >= 0 or self.bottom == self.top:
                self.bottom += 1

    def ending_at(self, bottom: int, rows: int, columns: int) -> None:
        """Let the view end before a line."""
        top = bottom = max(0, min(bottom, len(self._lines)))
        while top > 0:
            rows -= self.rows_of(self._lines[top - 1], columns)
            if rows < 0:
                break
            top -= 1
        self.top, self.bottom = min(top, max(0, bottom - 1)), bottom

    def rows_in_view(self, columns: int) -> int:
        """How many rows of the window the view takes."""
        return sum(self.rows_of(line, columns) for line in self._lines[self.top : self.bottom])

    def find(self, word: str, start: int, *, back: bool = False) -> int | None:
        """The first line from there that holds a word; capitals matter when the word has any."""
        order = range(start, -1, -1) if back else range(start, len(self._lines))
        return next((at for at in order if at < len(self._lines) and self.holds(at, word)), None)

    def holds(self, at: int, word: str) -> bool:
        """Does a line hold a word?"""
        line = self._lines[at]
        return word in (line if word != word.lower() else line.lower())

    def drawn(self, columns: int) -> str:
        """The view's lines, each ended."""
        return "".join(
            f"{self.cut(line, columns)}\r\n" for line in self._lines[self.top : self.bottom]
        )

    def cut(self, line: str, columns: int) -> str:
        """A line as it is drawn: whole, or between the window's edges with marks for the rest."""
        if self.shift is None:
            return line
        start, end = _at(line, self.shift), _at(line, self.shift + columns - 1)
        more = end < len(line)
        return line[start:end] + (">" if more else "")


def width(line: str) -> int:
    """The cells that a line takes."""
    return len(line) if line.isascii() else get_cwidth(line)


def _at(line: str, column: int) -> int:
    """The index of the character at a column."""
    if line.isascii():
        return min(column, len(line))
    cells = 0
    for at, character in enumerate(line):
        cells += get_cwidth(character)
        if cells > column:
            return at
    return len(line)
