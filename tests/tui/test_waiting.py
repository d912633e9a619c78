"""The queue as a value: order and focus, whatever the broker tells and in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.fake_control import review
from tui.waiting import Waiting

TELLINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), min_size=1, max_size=6)


@given(TELLINGS, st.integers(0, 8))
def test_nothing_moves_under_the_finger(tellings: list[list[str]], start: int) -> None:
    waiting = Waiting().merged(tuple(review(id_) for id_ in tellings[0])).at(start)
    for telling in tellings[1:]:
        before, was = waiting, waiting.focus
        waiting = waiting.merged(tuple(review(id_) for id_ in telling))
        ids = [one.id for one in waiting.reviews]
        kept = [one.id for one in before.reviews if one.id in telling]
        assert ids[: len(kept)] == kept
        assert sorted(ids) == sorted(telling)
        assert waiting.focus == (was if was in telling else waiting.focus)
        assert (waiting.focused is None) is (not telling)


def test_the_focus_goes_to_the_one_that_took_the_place() -> None:
    waiting = Waiting().merged((review("a"), review("b"), review("c"))).at(1)
    assert waiting.focus == "b"
    assert waiting.merged((review("a"), review("c"))).focus == "c"
    assert waiting.merged((review("a"),)).focus == "a"
    assert waiting.merged(()).focus is None


def test_only_what_is_pending_waits() -> None:
    told = (review("a", state="approved"), review("b"))
    assert [one.id for one in Waiting().merged(told).reviews] == ["b"]


def test_the_newest_telling_of_a_request_counts() -> None:
    waiting = Waiting().merged((review("a"),)).merged((review("a", quorum=5),))
    assert waiting.focused is not None
    assert waiting.focused.quorum == 5
