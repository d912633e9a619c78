"""The statement itself, formatted or byte for byte, and how much of it nobody has looked at yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.containers import Vertical

from tui import text, theme
from tui.widgets.plain import Plain
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.content import Content

    from broker.control.client import Review


class Statement(Vertical):
    """One statement, numbered and folded. It knows when its end has been in sight."""

    def __init__(self) -> None:
        super().__init__(id="statement")
        self._review: Review | None = None
        self._exact = False
        self._folded: tuple[object, ...] | None = None
        self._seen: set[tuple[str, bool]] = set()  # (digest, exact) of what was looked at whole

    def compose(self) -> ComposeResult:
        """A rule above that says which form this is, and one below that says what is unseen."""
        yield Plain(id="form")
        yield Rows(id="rows")
        yield Plain(id="unseen")

    def show(self, review: Review, *, exact: bool) -> None:
        """Show a statement; one that is shown already stays where it was scrolled to."""
        other = self._review is None or self._review.digest != review.digest
        if other:
            self._seen.clear()
        if other or exact != self._exact:
            self.query_one(Rows).scroll_to(y=0, animate=False)
        self._review = review
        self._exact = exact
        self._fold()
        self.call_after_refresh(self._look)

    def page(self, by: int) -> None:
        """Scroll by pages."""
        rows = self.query_one(Rows)
        step = max(rows.size.height - 1, 1)
        rows.scroll_to(y=rows.scroll_offset.y + by * step, animate=False)

    @property
    def unseen(self) -> int:
        """Lines below the edge; 0 when the end of either form has been in sight."""
        if self._review is None:
            return 0
        digest = self._review.digest
        if {(digest, True), (digest, False)} & self._seen:
            return 0
        return max(1, self.query_one(Rows).below)

    @on(Rows.Looked)
    def looked(self, event: Rows.Looked) -> None:
        """Scrolled, or another size: fold anew if need be, and see what is in sight."""
        event.stop()
        self._fold()
        self.call_after_refresh(self._look)

    def _fold(self) -> None:
        rows = self.query_one(Rows)
        if self._review is None or not rows.size.width:
            return
        folded = _form(self._review, exact=self._exact, width=rows.size.width)
        if folded != self._folded:
            self._folded = folded
            rows.show(_rows(self._review, exact=self._exact, width=rows.size.width))

    def _look(self) -> None:
        rows = self.query_one(Rows)
        review = self._review
        if review is None or not rows.size.height or self._folded is None:
            return
        current = _form(review, exact=self._exact, width=rows.size.width) == self._folded
        if current and not rows.below:
            self._seen.add((review.digest, self._exact))
        width = self.size.width
        form = " exact bytes " if self._exact or review.formatted is None else " formatted "
        self.query_one("#form", Plain).show(text.rule(text.safe(form), width))
        below = f" {rows.below} more lines below, space shows them " if rows.below else ""
        self.query_one("#unseen", Plain).show(text.rule(text.safe(below, theme.STRONG), width))


def _form(review: Review, *, exact: bool, width: int) -> tuple[object, ...]:
    """All that the rows are made of."""
    return (review.digest, exact, width, review.impact, review.dry_run)


def _rows(review: Review, *, exact: bool, width: int) -> list[Content]:
    shown = review.statement if exact or review.formatted is None else review.formatted
    bold = [*review.actions, *(table.rpartition(".")[2] for table in review.tables)]
    rows = text.numbered(shown, width, bold)
    for number, value in enumerate(review.values, start=1):
        shown = "NULL" if value is None else f"'{value}'"
        known = review.types[number - 1] if number <= len(review.types) else None
        rows += text.labelled(f"${number}", f"{shown} {known}" if known else shown, width)
    return rows + _around(review, width)


def _around(review: Review, width: int) -> list[Content]:
    """What ran before it in its transaction, and what is known of its tables, whole."""
    impact, trial = review.impact, review.dry_run
    if impact is None:
        return []
    rows: list[Content] = []
    for line in impact.before or ():
        rows += text.labelled("tx", line, width)
    whys = [f"not estimated: {impact.unknown}"] if impact.unknown else []
    whys += [f"no dry run: {trial.why_not}"] if trial is not None and trial.why_not else []
    for line in (*impact.sizes, *whys):
        rows += text.labelled("~", line, width)
    return rows
