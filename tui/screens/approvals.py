"""The queue and the request in focus; two keys answer it, and nothing moves under the finger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.containers import Container, Vertical
from textual.message import Message
from textual.screen import Screen

from broker.control.client import ControlError
from tui import keys, text, theme
from tui.link import State
from tui.screens.confirm import Confirm, Refuse
from tui.waiting import Waiting
from tui.widgets.heading import Heading
from tui.widgets.keybar import KeyBar
from tui.widgets.picker import Picker
from tui.widgets.plain import Plain
from tui.widgets.queue import queue
from tui.widgets.request import before, card, ended
from tui.widgets.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.content import Content

    from broker.control.client import Control, Review
    from tui.link import Link

GUARD = 0.3  # seconds after another request came into focus in which no key answers it
TOLD = 5  # earlier decisions shown while nothing waits
CALM = "Nothing waits. New requests ring the bell."


class Approvals(Screen[None]):
    """What waits, and what it would do."""

    CSS_PATH = "approvals.tcss"
    BINDINGS = keys.bindings(keys.APPROVALS)
    AUTO_FOCUS = ""

    @dataclass
    class Waits(Message):
        """How many wait now, and whether to call the person."""

        count: int
        call: bool

    def __init__(self, control: Control, link: Link, steady: Callable[[], float]) -> None:
        super().__init__()
        self._control = control
        self._link = link
        self._steady = steady
        self.queue = Waiting()
        self._known = False  # was the queue told yet: what waits already does not ring
        self._focused_at = steady()
        self._exact = False
        self._asking: tuple[str, Confirm | Refuse] | None = None
        self._warned: set[str] = set()
        self._told: list[Content] = []

    def compose(self) -> ComposeResult:
        """Heading, queue, the request in focus, what happened last, keys."""
        yield Heading(self._link)
        with Container(id="body"):
            yield Picker(id="queue")
            with Vertical(id="detail"):
                yield Plain(id="card")
                yield Statement()
                yield Plain(id="before")
        yield Plain(id="calm")
        yield Plain(id="said")
        yield KeyBar(keys.APPROVALS)

    def on_mount(self) -> None:
        """Countdowns run by themselves."""
        self.set_interval(1.0, self._tick)
        self.draw()

    def on_resize(self) -> None:
        """Fill the new size."""
        self.call_after_refresh(self.draw)

    # -- what waits ----------------------------------------------------------------------------

    @work(exclusive=True, group="reload")
    async def reload(self) -> None:
        """Ask what waits now."""
        try:
            self._take(await self._control.pending())
        except ControlError as error:
            self.say(str(error), theme.BAD)

    def _take(self, told: tuple[Review, ...]) -> None:
        was, self.queue = self.queue, self.queue.merged(told)
        gone = [review for review in was.reviews if self.queue.find(review.id) is None]
        new = [review for review in self.queue.reviews if was.find(review.id) is None]
        self._focus_may_have_changed(was)
        if self._asking and self.queue.find(self._asking[0]) is None:
            self._asking[1].withdraw()
        if gone:
            self._tell_ends(sorted(gone, key=lambda review: review.id == was.focus))
        self._call(any(review.can_answer for review in new) and self._known)
        self._known = True
        self.draw()

    @work(group="ends")
    async def _tell_ends(self, gone: list[Review]) -> None:
        """Say who answered what is gone, and when; the one that was in focus comes last."""
        for review in gone[-TOLD:]:
            try:
                self.say(ended(await self._control.show(review.id)))
            except ControlError as error:
                self.say(f"{review.id} is gone: {error}")

    def _focus_may_have_changed(self, was: Waiting) -> None:
        old, new = was.focused, self.queue.focused
        if (old and (old.id, old.digest)) != (new and (new.id, new.digest)):
            self._focused_at = self._steady()
            self._exact = False

    def _call(self, call: bool) -> None:
        self._link.waiting = len(self.queue.reviews)
        self.post_message(self.Waits(len(self.queue.reviews), call))

    def _tick(self) -> None:
        late = {review.id for review in self.queue.reviews if self._last_minute(review)}
        if late - self._warned:
            self._call(True)
        self._warned = late
        self.draw()

    def _last_minute(self, review: Review) -> bool:
        now = self._link.now
        if now is None or not review.can_answer:
            return False
        return (review.expires - now).total_seconds() < theme.LAST_MINUTE

    # -- keys ----------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._go(self.queue.moved(by))

    def action_jump(self, number: int) -> None:
        """To a row by its number."""
        if number <= len(self.queue.reviews):
            self._go(self.queue.at(number - 1))

    @on(Picker.Picked)
    def picked(self, event: Picker.Picked) -> None:
        """To a row with the mouse."""
        self._go(self.queue.at(event.row))

    def _go(self, queue: Waiting) -> None:
        was, self.queue = self.queue, queue
        self._focus_may_have_changed(was)
        self.draw()

    def action_exact(self) -> None:
        """Formatted or byte for byte."""
        self._exact = not self._exact
        self.draw()

    def action_page(self, by: int) -> None:
        """More of the statement."""
        self.query_one(Statement).page(by)

    def action_approve(self) -> None:
        """Ask once more, then let it run."""
        if (review := self._to_answer()) is not None:
            unseen = self.query_one(Statement).unseen
            self._ask(review, Confirm(review, unseen))

    def action_dry_run(self) -> None:
        """Have it counted, without keeping what it does."""
        if (review := self._to_answer()) is None:
            return
        if review.language != "sql":
            self.say("only statements on a database can be tried out", theme.WARNING)
            return
        self.say(f"dry run of {review.id}: at most 5 seconds")
        self._dry_run(review.id)

    @work(group="dry-run", exclusive=True, exit_on_error=True)
    async def _dry_run(self, review: str) -> None:
        try:
            tried = (await self._control.dry_run(review)).dry_run
        except ControlError as error:
            self.say(str(error), theme.BAD)
        else:
            if tried is not None and tried.rows is not None:
                self.say(f"dry run of {review}: exactly {tried.rows} rows, rolled back")
            elif tried is not None:
                self.say(f"no dry run of {review}: {tried.why_not}", theme.WARNING)
        self.reload()

    def action_deny(self) -> None:
        """Ask for the reason, then refuse it."""
        if (review := self._to_answer()) is not None:
            self._ask(review, Refuse(review))

    def _to_answer(self) -> Review | None:
        """The request in focus, if it may be answered at this moment; else says why not."""
        review = self.queue.focused
        if review is None or self._asking is not None:
            return None
        if self._link.state is not State.LIVE:
            self.say(f"{self._link.state.value}: nothing can be answered now", theme.BAD)
        elif self._steady() - self._focused_at < GUARD:
            self.say("key ignored: another request had just come into focus")
        elif not review.can_answer:
            self.say(review.why_not or "this one is not yours to answer", theme.WARNING)
        else:
            return review
        return None

    # -- answering -----------------------------------------------------------------------------

    def _ask(self, review: Review, dialog: Confirm | Refuse) -> None:
        self._asking = (review.id, dialog)
        self._answer(review, dialog)

    @work(group="answer")
    async def _answer(self, review: Review, dialog: Confirm | Refuse) -> None:
        """One answer, for the review that was on the screen when the key was pressed."""
        try:
            await self.app.push_screen_wait(dialog)
        finally:
            self._asking = None
        if dialog.reason is None:
            return
        if self._link.state is not State.LIVE:
            self.say(f"{self._link.state.value}: the answer was not sent", theme.BAD)
            return
        say_it = self._control.approve if isinstance(dialog, Confirm) else self._control.deny
        try:
            answered = await say_it(review.id, review.digest, dialog.reason)
        except ControlError as error:
            self.say(str(error), theme.BAD)
        else:
            self.say(_thanks(answered))
        self.reload()

    # -- drawing -------------------------------------------------------------------------------

    def say(self, sentence: str, style: str = "") -> None:
        """One sentence above the keys; the last few are kept for when nothing waits."""
        said = text.safe(sentence, style)
        self._told = [*self._told, said][-TOLD:]
        self.draw()

    def draw(self) -> None:
        """Show everything as it is now."""
        if not self.is_mounted:
            return
        review, now = self.queue.focused, self._link.now
        self.query_one("#body").display = review is not None
        self.query_one("#calm").display = review is None
        picker = self.query_one("#queue", Picker)
        picker.pick(queue(self.queue, now, picker.size.width or self.size.width), self.queue.row)
        if review is not None:
            width = self.query_one("#detail").size.width or self.size.width
            self.query_one("#card", Plain).show(card(review, now, width))
            self.query_one("#before", Plain).show(before(review, width))
            self.query_one(Statement).show(review, exact=self._exact)
        self.query_one("#calm", Plain).show(text.lines([text.safe(CALM), text.EMPTY, *self._told]))
        last = self._told[-1] if self._told and review is not None else text.EMPTY
        self.query_one("#said", Plain).show(text.joined([text.safe(" "), last]))
        self.query_one(KeyBar).offer(self._applies)
        self.query_one(Heading).tick()

    def _applies(self, key: str) -> bool:
        review = self.queue.focused
        if key == "dry-run" and (review is None or review.language != "sql"):
            return False
        if key in ("approve", "deny", "dry-run"):
            live = self._link.state is State.LIVE
            return review is not None and review.can_answer and live
        return review is not None or key not in ("exact", "page-down")


def _thanks(answered: Review) -> str:
    if answered.state == "pending":
        return (
            f"your approval of {answered.id} counts: "
            f"{len(answered.approvals)} of {answered.quorum} so far"
        )
    return ended(answered)
