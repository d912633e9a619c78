"""What an approver sees at 80x24 (and once at 120x40), kept as text that a reviewer can read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from broker.control.client import Page
from recordings.asciicast import Event
from tests.tui.fake_control import AGENT, IMPACT, command, review, session
from tests.tui.screen import matches, shown, until_shown
from tests.tui.test_text import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.tui.conftest import Desk as At

    Desk = Callable[..., AbstractAsyncContextManager[At]]


async def test_the_queue(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        matches("queue-80x24", shown(at.app))


async def test_the_queue_on_a_wide_terminal(desk: Desk) -> None:
    async with desk(review(), command(), size=(120, 40)) as at:
        matches("queue-120x40", shown(at.app))


async def test_what_it_would_touch(desk: Desk) -> None:
    """All that decides is on the first screen at 80x24: how many, at most, in which transaction."""
    ran = ("allow  BEGIN", "review 11aa approved  UPDATE refunds SET status = 'dup' WHERE id = 3")
    one = review(
        statement="DELETE FROM refunds WHERE order_id = $1 AND status = $2",
        formatted="DELETE FROM refunds\nWHERE order_id = $1\n  AND status = $2",
        values=("84021", "dup"),
        types=("int4", None),
        impact=replace(IMPACT, before=ran),
    )
    async with desk(one, command()) as at:
        matches("impact-80x24", shown(at.app))
        await at.press("e")
        await until_shown(at.pilot, "exactly 3 in a dry run")
        assert at.control.calls == [("dry-run", "7f3a")]


async def test_a_command(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        await at.press("j")
        await at.settle()
        matches("command-80x24", shown(at.app))


async def test_nothing_waits(desk: Desk) -> None:
    async with desk() as at:
        matches("empty-80x24", shown(at.app))


async def test_ones_own(desk: Desk) -> None:
    own = review(can_answer=False, why_not="you asked for this yourself; somebody else must answer")
    async with desk(own) as at:
        matches("own-80x24", shown(at.app))


async def test_the_question(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        await at.press("a")
        matches("confirm-80x24", await until_shown(at.pilot, "y let it run"))


async def test_the_refusal(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        await at.press("d", *"use the job")
        matches("refuse-80x24", await until_shown(at.pilot, "use the job"))


async def test_help(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        await at.press("question_mark")
        matches("help-80x24", await until_shown(at.pilot, "esc closes this"))


async def test_a_lost_link(desk: Desk) -> None:
    async with desk(review()) as at:
        at.control.tell(None)
        matches("lost-80x24", await until_shown(at.pilot, "connection lost"))


async def test_sessions_and_replay(desk: Desk) -> None:
    async with desk(review()) as at:
        running = session("s-42", identity=AGENT, target="web1", kind="ssh", ended=None)
        at.control.listed = [session(), running]
        await at.press("s")
        matches("sessions-80x24", await until_shown(at.pilot, "acme/shop"))
        await at.press("enter")
        await until_shown(at.pilot, "/ 0:10  ")
        await at.press("right_square_bracket")
        await until_shown(at.pilot, "SELECT 1")
        await at.press("right_square_bracket")
        matches("replay-80x24", await until_shown(at.pilot, "DELETE FROM refunds;"))
        await at.press("m")
        matches("markers-80x24", await until_shown(at.pilot, "0:01  allow reads"))


async def test_hostile_text_is_drawn_and_never_obeyed(desk: Desk) -> None:
    bad = " ".join(HOSTILE)
    hostile = review(
        identity=f"human:{HOSTILE[0]}@corp",
        target=HOSTILE[7],
        why=bad,
        rule=HOSTILE[1],
        reason=bad,
        statement="\n".join(HOSTILE),
        formatted=None,
        tables=(HOSTILE[2],),
        actions=(HOSTILE[3],),
        before=tuple(HOSTILE),
        values=tuple(HOSTILE[:3]),
        acting_for=HOSTILE[4],
        source=HOSTILE[5],
    )
    async with desk(hostile) as at:
        matches("hostile-80x24", shown(at.app))
        for row in range(24):  # a click anywhere on it runs nothing
            await at.pilot.click(offset=(30, row))
        await at.press("a")
        matches("hostile-confirm-80x24", await until_shown(at.pilot, "y let it run"))
        assert at.control.calls == []


async def test_a_hostile_recording_is_drawn_as_cells(desk: Desk) -> None:
    async with desk() as at:
        events = [Event(0.1 * n, "o", f"{bad}\r\n") for n, bad in enumerate(HOSTILE)]
        marks = [Event(1.3, "m", bad) for bad in HOSTILE]
        events += [*marks, Event(1.4, "o", "\x1b[?4mafter vim"), Event(1.5, "r", "9x9;evil")]
        at.control.listed = [session(identity=f"human:{HOSTILE[0]}@corp", status=HOSTILE[3])]
        at.control.recording = [Page(tuple(events), next=None, columns=80, rows=24)]
        await at.press("s")
        matches("hostile-sessions-80x24", await until_shown(at.pilot, "[@click"))
        await at.press("enter")
        await until_shown(at.pilot, "/ 0:01  ")
        at.clock.seconds += 5
        await until_shown(at.pilot, "after vim")
        matches("hostile-replay-80x24", await until_shown(at.pilot, "paused"))
