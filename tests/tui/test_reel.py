"""A place in a recording: forward, back, over pages, with pauses shortened."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.control.client import Page
from recordings.asciicast import Event
from tui.pages import KEPT, Mark, Moment, Pages, Survey
from tui.reel import KEYFRAMES, Reel


class Tape:
    """A recording of `count` pages with `each` numbers of three digits, one a second."""

    def __init__(self, count: int = 5, each: int = 4) -> None:
        self.asked: list[int] = []
        self.pages = [
            Page(
                tuple(
                    Event(float(n), "o", f"\x1b[H{n:03d}") for n in range(p * each, p * each + each)
                ),
                next=p + 1 if p + 1 < count else None,
                columns=10,
                rows=2,
            )
            for p in range(count)
        ]

    async def fetch(self, offset: int) -> Page:
        self.asked.append(offset)
        return self.pages[offset]

    def reel(self) -> Reel:
        return Reel(Pages(self.fetch))


async def go(reel: Reel, to: float) -> str:
    for _ in range(1000):
        if await reel.step(to):
            return reel.emulator.shown()[0].plain.strip()
    raise AssertionError


async def test_forward_and_back() -> None:
    reel = Tape().reel()
    assert await go(reel, 0.5) == "000"
    assert await go(reel, 7.0) == "007"
    assert await go(reel, 3.9) == "003"
    assert await go(reel, 1e9) == "019"
    assert reel.ended
    assert reel.at == 19.0
    assert await go(reel, 0.0) == "000"
    assert not reel.ended


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 199), max_size=8))
async def test_every_place_looks_the_same_however_it_was_reached(places: list[int]) -> None:
    tape = Tape(count=50)
    reel = tape.reel()
    for place in places:
        assert await go(reel, float(place)) == f"{place:03d}"
        assert (reel.at, reel.time) == (float(place), float(place))
    assert len(reel._keyframes) <= KEYFRAMES


async def test_a_long_pause_is_played_as_two_seconds() -> None:
    tape = Tape(count=1, each=2)
    late = Event(100.0, "o", "\x1b[Hlate")
    tape.pages[0] = Page((*tape.pages[0].events, late), next=None, columns=10, rows=2)
    reel = tape.reel()
    assert await go(reel, 2.9) == "001"
    assert await go(reel, 3.0) == "late"
    assert (reel.at, reel.time) == (3.0, 100.0)


async def test_one_large_event_is_played_in_bites() -> None:
    big = Page((Event(0.0, "o", "x" * 30_000 + "\x1b[2J\x1b[Hend"),), None, 10, 2)

    async def fetch(_: int) -> Page:
        return big

    reel = Reel(Pages(fetch))
    steps = 1
    while not await reel.step(1.0):
        steps += 1
    assert steps > 5
    assert reel.emulator.shown()[0].plain.strip() == "end"


async def test_the_first_page_is_asked_for_once_and_few_are_kept() -> None:
    tape = Tape(count=50)
    pages = Pages(tape.fetch)
    survey, reel = Survey(pages), Reel(pages)
    await survey.run()
    await go(reel, 1e9)
    await go(reel, 0.0)
    assert tape.asked.count(0) == 1
    assert len(pages._kept) <= KEPT + 1


async def test_the_survey_finds_markers_and_the_end() -> None:
    events = (Event(1.0, "m", "one"), Event(50.0, "m", "two"), Event(50.5, "o", "x"))

    async def fetch(_: int) -> Page:
        return Page(events, None, 10, 2)

    survey = Survey(Pages(fetch))
    await survey.run()
    one, two = Mark(Moment(1.0, 1.0), "one"), Mark(Moment(3.0, 50.0), "two")
    assert survey.marks == [one, two]
    assert (survey.end, survey.complete) == (Moment(3.5, 50.5), True)
    assert (survey.after(1.0), survey.before(3.0)) == (two, one)
    assert (survey.after(3.0), survey.before(1.0)) == (None, None)


async def test_pages_that_lead_back_end_the_recording() -> None:
    async def fetch(_: int) -> Page:
        return Page((Event(0.0, "o", "x"),), 0, 10, 2)

    survey = Survey(Pages(fetch))
    await survey.run()
    assert survey.complete


async def test_an_empty_recording_is_over_at_once() -> None:
    async def fetch(_: int) -> Page:
        return Page((), None, 10, 2)

    reel = Reel(Pages(fetch))
    assert await go(reel, 5.0) == ""
    assert reel.ended
    assert reel.at == 0.0
