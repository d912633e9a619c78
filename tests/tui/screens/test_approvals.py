"""An approver at work: two keys answer, nothing moves under the finger, no accident approves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.control.client import Approval, Clock, DryRun, Refused
from tests.tui.fake_control import AGENT, ALICE, IMPACT, NOON, command, review
from tests.tui.screen import shown, until, until_shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.tui.conftest import Desk as At

    Desk = Callable[..., AbstractAsyncContextManager[At]]


# -- answering -----------------------------------------------------------------------------------


async def test_a_then_y_approves_the_exact_bytes_on_the_screen(desk: Desk) -> None:
    one, two = review(), command()
    async with desk(one, two) as at:
        await at.press("a")
        await until_shown(at.pilot, "Let alice@example.com run this DELETE on orders?")
        assert at.control.calls == []
        await at.press("y")
        await until_shown(at.pilot, "was approved by bob@example.com at 12:00 UTC")
        assert at.control.calls == [("approve", "7f3a", one.digest, "")]
        assert at.app.approvals.queue.focus == "8b2c"


async def test_a_held_can_never_approve(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        for _ in range(12):
            await at.press("a")
            at.clock.seconds += 0.5
        assert at.control.calls == []


@pytest.mark.parametrize("key", ["n", "escape", "enter", "space", "a", "tab", "j"])
async def test_no_key_but_y_says_yes(desk: Desk, key: str) -> None:
    async with desk(review()) as at:
        await at.press("a")
        await until_shown(at.pilot, "y let it run")
        await at.press(key)
        await at.settle()
        assert at.control.calls == []
        assert ("y let it run" in shown(at.app)) is (key not in ("n", "escape", "enter"))


async def test_y_without_the_question_does_nothing(desk: Desk) -> None:
    async with desk(review()) as at:
        await at.press("y", "y")
        await at.settle()
        assert at.control.calls == []


async def test_deny_sends_the_reason(desk: Desk) -> None:
    one = review()
    async with desk(one) as at:
        await at.press("d")
        await until_shown(at.pilot, "Refuse this DELETE of alice@example.com?")
        await at.press(*"not today", "enter")
        await until(at.pilot, lambda: bool(at.control.calls), "an answer")
        assert at.control.calls == [("deny", "7f3a", one.digest, "not today")]


async def test_escape_leaves_it_waiting(desk: Desk) -> None:
    async with desk(review()) as at:
        await at.press("d", *"no", "escape")
        await at.settle()
        assert at.control.calls == []
        assert at.app.screen is at.app.approvals


async def test_one_of_two_approvals_leaves_it_waiting(desk: Desk) -> None:
    one = review()
    async with desk(one) as at:
        counted = replace(
            one, approvals=(Approval("human:carol@corp", "2026-01-01T12:00:00Z", ""),)
        )

        async def approve(review_id: str, digest: str, reason: str = "") -> object:
            at.control.waits = [counted]
            return counted

        at.control.approve = approve  # type: ignore[assignment]
        await at.press("a", "y")
        await until_shown(at.pilot, "your approval of 7f3a counts: 1 of 2 so far")
        assert "1 of 2 approved (carol)" in shown(at.app)


async def test_a_refusal_of_the_broker_is_told(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        at.control.failing = Refused("7f3a was denied by carol at 12:00", 77)
        await at.press("a", "y")
        await until_shown(at.pilot, "7f3a was denied by carol at 12:00")


# -- dry runs ------------------------------------------------------------------------------------


async def test_e_counts_and_answers_nothing(desk: Desk) -> None:
    async with desk(review(impact=IMPACT)) as at:
        assert "about 3   undone beyond 14" in shown(at.app)
        await at.press("e")
        await until_shown(at.pilot, "exactly 3 in a dry run")
        assert "dry run of 7f3a: exactly 3 rows, rolled back" in shown(at.app)
        assert at.control.calls == [("dry-run", "7f3a")]


async def test_why_there_was_no_dry_run_is_told_whole(desk: Desk) -> None:
    why = "a default or check of its table calls nextval, which may do more than compute"
    async with desk(review(impact=IMPACT)) as at:
        tried = review(impact=IMPACT, dry_run=DryRun("bob", "2026-01-01T12:00:00Z", None, why))

        async def dry_run(_review: str) -> object:
            at.control.waits = [tried]
            return tried

        at.control.dry_run = dry_run  # type: ignore[method-assign, assignment]
        await at.press("e")
        await until_shown(at.pilot, "no dry run of 7f3a: a default or check")
        await until_shown(at.pilot, "~  no dry run: a default or check of its table calls nextval")


async def test_e_is_for_those_who_may_answer_and_for_sql(desk: Desk) -> None:
    own = review(can_answer=False, why_not="it is your own request")
    async with desk(own) as at:
        await at.press("e")
        await until_shown(at.pilot, "it is your own request")
        assert at.control.calls == []
    async with desk(command()) as at:
        assert "e dry run" not in shown(at.app)
        await at.press("e")
        await until_shown(at.pilot, "only statements on a database can be tried out")
        assert at.control.calls == []


async def test_a_refusal_of_a_dry_run_is_told(desk: Desk) -> None:
    async with desk(review()) as at:
        at.control.failing = Refused("a dry run of review 7f3a is under way", 64)
        await at.press("e")
        await until_shown(at.pilot, "a dry run of review 7f3a is under way")


# -- nothing moves under the finger --------------------------------------------------------------


async def test_new_requests_come_last_whatever_the_order_told(desk: Desk) -> None:
    async with desk(review("aa"), review("bb")) as at:
        await at.press("j")
        early = review("cc", asked=NOON.replace(hour=1))
        at.control.change(early, review("bb"), review("aa"))
        await until(at.pilot, lambda: len(at.app.approvals.queue.reviews) == 3, "three wait")
        assert [one.id for one in at.app.approvals.queue.reviews] == ["aa", "bb", "cc"]
        assert at.app.approvals.queue.focus == "bb"


async def test_the_focus_stays_on_its_request_when_another_goes(desk: Desk) -> None:
    async with desk(review("aa"), review("bb"), review("cc")) as at:
        await at.press("2")
        at.control.change(review("bb"), review("cc"))
        await until(at.pilot, lambda: len(at.app.approvals.queue.reviews) == 2, "one gone")
        assert at.app.approvals.queue.focus == "bb"
        await at.settle()
        await at.press("a", "y")
        await until(at.pilot, lambda: bool(at.control.calls), "an answer")
        assert at.control.calls[0][1] == "bb"


async def test_a_key_right_after_another_request_came_into_focus_answers_nothing(
    desk: Desk,
) -> None:
    async with desk(review("aa"), review("bb")) as at:
        at.control.change(review("bb"))
        await until(at.pilot, lambda: at.app.approvals.queue.focus == "bb", "bb in focus")
        at.clock.seconds += 0.29
        await at.press("a", "y", "d")
        await until_shown(at.pilot, "key ignored")
        assert at.app.screen is at.app.approvals
        assert at.control.calls == []
        at.clock.seconds += 0.02
        await at.press("a", "y")
        await until(at.pilot, lambda: bool(at.control.calls), "an answer")
        assert at.control.calls[0][1] == "bb"


async def test_the_question_closes_when_its_request_is_gone(desk: Desk) -> None:
    async with desk(review(), command()) as at:
        await at.press("a")
        await until_shown(at.pilot, "y let it run")
        at.control.ended["7f3a"] = review(
            state="denied",
            closed_by="human:carol@corp",
            closed_reason="wrong table",
            closed_at="2026-01-01T12:00:05Z",
        )
        at.control.change(command())
        await until(at.pilot, lambda: at.app.screen is at.app.approvals, "the question closes")
        await at.press("y")
        screen = await until_shown(at.pilot, "was denied by carol at 12:00 UTC: wrong table")
        assert "sudo systemctl restart nginx" in screen
        assert at.control.calls == []


async def test_the_answer_is_for_the_bytes_that_were_asked_about(desk: Desk) -> None:
    """A request that changes its bytes behind the question: the digest sent is the one seen."""
    seen = review()
    async with desk(seen) as at:
        await at.press("a")
        await until_shown(at.pilot, "y let it run")
        at.control.change(review(statement="DROP TABLE refunds", digest="sha256:other"))
        await at.settle()
        await at.press("y")
        await until(at.pilot, lambda: bool(at.control.calls), "an answer")
        assert at.control.calls == [("approve", "7f3a", seen.digest, "")]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("expired", "7f3a (alice@example.com) expired at 12:04 UTC"),
        ("withdrawn", "7f3a (alice@example.com) was withdrawn at 12:04 UTC"),
    ],
)
async def test_what_ends_elsewhere_is_told(desk: Desk, state: str, sentence: str) -> None:
    async with desk(review()) as at:
        at.control.ended["7f3a"] = review(state=state, closed_at="2026-01-01T12:04:18Z")
        at.control.change()
        assert "Nothing waits. New requests ring the bell." in await until_shown(at.pilot, sentence)


# -- what is not yours, what was not seen, who is not there --------------------------------------


async def test_ones_own_request_cannot_be_answered_and_says_why(desk: Desk) -> None:
    own = review(can_answer=False, why_not="you asked for this; somebody else must answer")
    async with desk(own) as at:
        assert "a approve" not in shown(at.app)
        assert "d deny" not in shown(at.app)
        assert shown(at.app).count("you asked for this; somebody else must answer") == 1
        await at.press("a", "y", "d", "enter")
        await at.settle()
        assert at.control.calls == []
        assert shown(at.app).count("you asked for this; somebody else must answer") == 2


def long_statement(lines: int) -> str:
    return "\n".join(f"TRUNCATE t{n};" for n in range(lines))


async def test_approving_what_was_not_seen_to_its_end_says_so(desk: Desk) -> None:
    statement = long_statement(40)
    async with desk(review(statement=statement, formatted=None)) as at:
        assert "more lines below" in shown(at.app)
        assert "t39" not in shown(at.app)
        await at.press("a")
        await until_shown(at.pilot, "lines have not been on your screen")
        await at.press("n")
        for _ in range(6):
            await at.press("space")
            await at.settle()
        assert "t39" in shown(at.app)
        assert "more lines below" not in shown(at.app)
        await at.press("b", "a")
        assert "not been on your screen" not in await until_shown(at.pilot, "y let it run")


async def test_having_seen_one_long_statement_says_nothing_of_the_next(desk: Desk) -> None:
    first, second = long_statement(30), long_statement(31)
    one = review("aa", statement=first, formatted=None)
    two = review("bb", statement=second, formatted=None)
    async with desk(one, two) as at:
        for _ in range(6):
            await at.press("space")
            await at.settle()
        await at.press("j")
        await at.settle()
        assert "t0;" in shown(at.app)  # from its beginning
        await at.press("a")
        await until_shown(at.pilot, "not been on your screen")


async def test_x_shows_the_exact_bytes(desk: Desk) -> None:
    async with desk(
        review(statement="DELETE  FROM\trefunds", formatted="DELETE FROM refunds")
    ) as at:
        assert "── formatted ─" in shown(at.app)
        await at.press("x")
        screen = await until_shown(at.pilot, "── exact bytes ─")
        assert "DELETE  FROM⟨09⟩refunds" in screen
        await at.press("x")
        await until_shown(at.pilot, "── formatted ─")


async def test_bound_values_are_part_of_what_is_seen(desk: Desk) -> None:
    async with desk(review(values=("84021", None, "two\nlines"))) as at:
        screen = shown(at.app)
        assert " $1  '84021'" in screen
        assert " $2  NULL" in screen
        assert " $3  'two⟨0A⟩lines'" in screen


async def test_a_lost_link_says_so_and_nothing_can_be_approved(desk: Desk) -> None:
    async with desk(review()) as at:
        at.control.tell(None)
        screen = await until_shown(at.pilot, "connection lost")
        assert "a approve" not in screen
        await at.press("a", "y")
        await until_shown(at.pilot, "connection lost: nothing can be answered now")
        assert at.control.calls == []


async def test_a_link_lost_behind_the_question_sends_nothing(desk: Desk) -> None:
    async with desk(review()) as at:
        await at.press("a")
        await until_shown(at.pilot, "y let it run")
        at.control.tell(None)
        await until_shown(at.pilot, "y let it run")
        await until(at.pilot, lambda: at.app.link.state.value == "connection lost", "lost")
        await at.press("y")
        await until_shown(at.pilot, "connection lost: the answer was not sent")
        assert at.control.calls == []


async def test_silence_of_the_broker_makes_the_link_stale(desk: Desk) -> None:
    async with desk(review()) as at:
        at.clock.seconds += 31
        await at.press("a")
        await until_shown(at.pilot, "stale: nothing can be answered now")
        at.control.tell(Clock(NOON))
        await until(at.pilot, lambda: at.app.link.state.value == "live", "live again")
        await at.press("a")
        await until_shown(at.pilot, "y let it run")


# -- calling the person --------------------------------------------------------------------------


async def test_a_new_request_rings_and_counts_in_the_title(desk: Desk) -> None:
    async with desk(review("aa")) as at:
        assert (at.app.rings, at.app.window_title) == (0, "(1) approvals")
        at.control.change(review("aa"), review("bb"))
        await until(at.pilot, lambda: at.app.rings == 1, "a ring")
        assert at.app.window_title == "(2) approvals"
        at.control.change(review("aa"), review("bb"), review("cc", can_answer=False))
        await until(at.pilot, lambda: at.app.window_title == "(3) approvals", "the title")
        assert at.app.rings == 1  # one's own request calls nobody


async def test_the_last_minute_rings_once_more(desk: Desk) -> None:
    async with desk(review()) as at:
        at.clock.seconds += 4 * 60
        at.control.tell(Clock(NOON.replace(minute=4)))
        await until(at.pilot, lambda: at.app.rings > 0, "a ring")


async def test_the_title_holds_nothing_that_others_wrote(desk: Desk) -> None:
    hostile = review(identity="human:\x1b]2;PWNED\x07@corp", statement="\x1b]2;PWNED\x07")
    async with desk(hostile) as at:
        assert at.app.window_title == "(1) approvals"


# -- going about ---------------------------------------------------------------------------------


async def test_keys_move_and_jump(desk: Desk) -> None:
    async with desk(*(review(f"r{n}") for n in range(1, 6))) as at:
        queue = at.app.approvals
        for key, there in [("j", "r2"), ("down", "r3"), ("k", "r2"), ("5", "r5"), ("j", "r5")]:
            await at.press(key)
            assert queue.queue.focus == there
        await at.press("9", "up")
        assert queue.queue.focus == "r4"


async def test_a_click_means_its_row(desk: Desk) -> None:
    async with desk(review("aa"), command("bb")) as at:
        await at.pilot.click("#queue", offset=(5, 2))
        await until(at.pilot, lambda: at.app.approvals.queue.focus == "bb", "bb in focus")


async def test_help_lists_the_keys(desk: Desk) -> None:
    async with desk(review()) as at:
        await at.press("question_mark")
        screen = await until_shown(at.pilot, "let it run (asks once more)")
        assert "refuse it, with a reason" in screen
        await at.press("a", "escape")
        await until(at.pilot, lambda: at.app.screen is at.app.approvals, "help closed")
        assert at.control.calls == []


async def test_who_asks_for_whom_is_on_the_card(desk: Desk) -> None:
    async with desk(command()) as at:
        screen = shown(at.app)
        for told in ("acme/shop", "agent of github", "acting for carol", "in /srv", "not said"):
            assert told in screen
        assert AGENT not in screen
        assert ALICE not in screen
