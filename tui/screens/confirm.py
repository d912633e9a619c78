"""The last question before an answer: another key than the one that asked; `no` is the easy one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui import keys, text, theme
from tui.people import person
from tui.widgets.plain import Plain
from tui.widgets.queue import verbs
from tui.widgets.reason import Reason

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.content import Content

    from broker.control.client import Review


class _Dialog(ModalScreen[None]):
    """A question about one review. `reason` is None until it is answered with yes."""

    CSS_PATH = "confirm.tcss"

    def __init__(self, review: Review) -> None:
        super().__init__()
        self.review = review
        self.reason: str | None = None

    def withdraw(self) -> None:
        """The review is gone: there is nothing left to ask."""
        self.reason = None
        if self.is_current:
            self.dismiss()


class Confirm(_Dialog):
    """Let it run? Only `y` says yes; Enter, Escape and `n` say no."""

    BINDINGS = keys.bindings(keys.CONFIRM)
    AUTO_FOCUS = ""

    def __init__(self, review: Review, unseen: int) -> None:
        super().__init__(review)
        self._unseen = unseen

    def compose(self) -> ComposeResult:
        """The question, what was not seen, and the two keys."""
        with Vertical(id="dialog"):
            yield Plain(question(self.review, self._unseen))

    def action_answer(self, yes: bool) -> None:
        """Yes or no."""
        if self.is_current:
            self.reason = "" if yes else None
            self.dismiss()


class Refuse(_Dialog):
    """Why not? Enter sends the refusal."""

    BINDINGS = keys.bindings(keys.REFUSE)
    AUTO_FOCUS = "#reason"

    def compose(self) -> ComposeResult:
        """What is refused, and a line for the reason."""
        who = person(self.review.identity).name
        with Vertical(id="dialog"):
            yield Plain(
                text.safe(f"Refuse this {verbs(self.review)} of {who}? They will read why:")
            )
            yield Reason()
            yield Plain(
                text.joined(
                    [
                        text.safe("enter", theme.STRONG),
                        text.safe(" refuse      "),
                        text.safe("esc", theme.STRONG),
                        text.safe(" leave it waiting"),
                    ]
                )
            )

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Enter: refuse, with or without a reason."""
        if self.is_current:
            self.reason = event.value.strip()
            self.dismiss()

    def action_cancel(self) -> None:
        """Escape: leave it waiting."""
        if self.is_current:
            self.dismiss()


def question(review: Review, unseen: int) -> Content:
    """Who, what, where; and what has not been looked at."""
    who = person(review.identity).name
    rows = [text.safe(f"Let {who} run this {verbs(review)} on {review.target}?")]
    if unseen:
        lines = "Its last line has" if unseen == 1 else f"Its last {unseen} lines have"
        rows += [text.safe(f"{lines} not been on your screen.", theme.WARNING)]
    rows += [
        text.safe(f"review {review.id}   {review.digest[:23]}…", theme.QUIET),
        text.EMPTY,
        text.joined(
            [
                text.safe("y", theme.STRONG),
                text.safe(" let it run      "),
                text.safe(" n leave it waiting ", theme.CURSOR),
            ]
        ),
    ]
    return text.lines(rows)
