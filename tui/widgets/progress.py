"""Where a playback is: the state, the speed, the time, a bar, the last marker passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import text, theme
from tui.link import minutes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.content import Content

    from tui.pages import Mark, Survey

BAR = 20  # cells


def progress(
    *, at: float, time: float, speed: float, playing: bool, survey: Survey, width: int
) -> Content:
    """One line, at most `width` wide. `at` is the time of playing, `time` the recording's own."""
    state = "playing" if playing else "paused "
    total = minutes(survey.end.time) + ("" if survey.complete else "+")
    share = min(at / survey.end.at, 1.0) if survey.end.at else 0.0
    done = round(share * BAR)
    passed = survey.before(at + 0.001)
    parts = [
        text.safe(f" {state} {speed:g}x", theme.STRONG),
        text.safe(f"{minutes(time)} / {total}"),
        text.joined([text.safe("━" * done), text.safe("─" * (BAR - done), theme.QUIET)]),
        text.safe(passed.label if passed else "", theme.STRONG),
    ]
    return text.cut(text.joined(parts, "  "), width)


def marks(found: Sequence[Mark], at: float, width: int) -> tuple[list[Content], int]:
    """The list of markers, and the row of the last one passed."""
    row = max(sum(mark.moment.at <= at + 0.001 for mark in found) - 1, 0)
    rows = [
        text.fitted(text.safe(f" {minutes(mark.moment.time):>7}  {mark.label}"), width).stylize(
            theme.CURSOR if number == row and mark.moment.at <= at + 0.001 else ""
        )
        for number, mark in enumerate(found)
    ]
    return rows or [text.safe(" no markers")], row
