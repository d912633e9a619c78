"""The only maker of text for widgets: whatever others wrote is shown here, and never obeyed.

What an approver looks at was chosen by the person who asks. Markup in it could run actions at a
click, escape sequences could reach the terminal, direction marks could reorder a statement. So
widgets take `Content` only, `Content` is made only here, without markup, and every control,
format and invisible character becomes ``⟨hex⟩``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from rich.cells import cell_len, chop_cells
from textual.content import Content, Span
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.style import Style as RichStyle

Shown: TypeAlias = Content

EMPTY = Content("")
ELLIPSIS = "…"

# Printable for Python, yet drawn as nothing: fillers, joiners and variation selectors (Unicode's
# Default_Ignorable_Code_Point), the blank Braille pattern, and skin tones, which are drawn as part
# of what stands before them or not at all.
_INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0x1F3FB, 0x1F3FF),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)


def visible(text: str) -> str:
    """Untrusted text with control and invisible characters shown, not obeyed."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c == "\n" or (c.isprintable() and c not in _INVISIBLE) else f"⟨{ord(c):02X}⟩"
        for c in text
    )


def safe(text: str, style: str = "") -> Content:
    """One line of anybody's text. A line end in it is shown, so it cannot forge another line."""
    return Content.styled(visible(text).replace("\n", "⟨0A⟩"), style)


def joined(parts: Iterable[Content], between: str = "") -> Content:
    """Pieces in one line."""
    return Content(between).join(parts)


def lines(rows: Iterable[Content]) -> Content:
    """Rows under each other."""
    return Content("\n").join(rows)


def fitted(content: Content, width: int) -> Content:
    """Exactly `width` cells: cut with an ellipsis, or filled with blanks."""
    return content.truncate(max(width, 0), ellipsis=True, pad=True)


def cut(content: Content, width: int) -> Content:
    """At most `width` cells, with an ellipsis when something was cut."""
    return content.truncate(max(width, 0), ellipsis=True)


def between(left: Content, right: Content, width: int) -> Content:
    """One at each end of a line; the left one is cut when both do not fit."""
    room = max(width - right.cell_length - 1, 0)
    return joined([fitted(left, room), right], " ")


def rule(title: Content, width: int) -> Content:
    """A line across, with a title in it."""
    room = max(width - 4, 0)
    title = cut(title, room)
    tail = "─" * max(width - 2 - title.cell_length, 0)
    return joined([Content.styled("──", "dim"), title, Content.styled(tail, "dim")])


def numbered(text: str, width: int, bold: Sequence[str] = ()) -> list[Content]:
    """Every line of a text with its number, folded so that nothing hides beyond the edge."""
    source = text.split("\n")
    digits = max(3, len(str(len(source))))
    words = _words(tuple(bold))
    rows: list[Content] = []
    for number, line in enumerate(source, start=1):
        rows += _folded(f"{number:>{digits}}", line, width, words)
    return rows


def labelled(label: str, text: str, width: int) -> list[Content]:
    """One more row under numbered ones (folded, too) with a label of our own in its place."""
    return _folded(f"{label:>3}", text.replace("\n", "⟨0A⟩"), width, None)


def _folded(label: str, line: str, width: int, bold: re.Pattern[str] | None) -> list[Content]:
    rows = []
    for piece in chop_cells(visible(line), max(width - len(label) - 3, 8)) or [""]:
        shown = Content(piece)
        if bold is not None:
            shown = shown.highlight_regex(bold, style="bold")
        rows.append(joined([Content.styled(f"{label}  ", "dim"), shown]))
        label = f"{'↪':>{len(label)}}"
    return rows


def _words(words: tuple[str, ...]) -> re.Pattern[str] | None:
    found = sorted({word for word in words if word.strip()}, key=len, reverse=True)
    if not found:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, found))})(?!\w)", re.IGNORECASE)


def strip(content: Content, width: int, base: RichStyle) -> Strip:
    """A row of cells, exactly `width` wide."""
    row = Strip(content.render_segments())
    return row.adjust_cell_length(width, base).apply_style(base)


def cells(row: Iterable[tuple[str, str]]) -> Content:
    """One row of an emulated terminal, from (character, style) cells; each as wide as it says."""
    text: list[str] = []
    spans: list[Span] = []
    at = 0
    for data, style in row:
        shown = _cell(data)
        text.append(shown)
        if style and spans and spans[-1].end == at and spans[-1].style == style:
            spans[-1] = Span(spans[-1].start, at + len(shown), style)
        elif style:
            spans.append(Span(at, at + len(shown), style))
        at += len(shown)
    return Content("".join(text), spans)


@lru_cache(4096)
def _cell(data: str) -> str:
    drawable = data.isprintable() and _INVISIBLE.isdisjoint(data) and cell_len(data) > 0
    return data if drawable else "·"
