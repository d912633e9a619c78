"""Playback is arithmetic: delays, speed, idle limit, seeking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.asciicast import Event
from recordings.player import Marker, Player

EVENTS = [
    Event(0.5, "o", "a"),
    Event(1.0, "m", "allow r: x"),
    Event(61.0, "o", "b"),
    Event(62.0, "m", "deny r: y"),
    Event(62.0, "x", "0"),
]


def test_delays_are_the_gaps_divided_by_the_speed() -> None:
    assert [delay for delay, _ in Player(EVENTS, speed=2.0)] == [0.25, 0.25, 30.0, 0.5, 0.0]


def test_a_long_pause_is_shortened_but_the_clock_stays_the_recordings() -> None:
    player = Player(EVENTS, idle_limit=2.0)
    assert [delay for delay, _ in player] == [0.5, 0.5, 2.0, 1.0, 0.0]
    assert player.time == player.duration == 62.0
    assert player.ended
    assert player.step() is None


def test_seeking_gives_all_that_was_shown_until_then_and_goes_on_from_there() -> None:
    player = Player(EVENTS)
    assert [event.data for event in player.seek(30)] == ["a", "allow r: x"]
    assert player.step() == (31.0, EVENTS[2])
    assert player.seek(-5) == ()
    assert player.step() == (0.5, EVENTS[0])
    assert player.seek(1000) == tuple(EVENTS)
    assert player.ended


def test_markers_are_chapters() -> None:
    player = Player(EVENTS)
    assert player.markers == (Marker(1.0, "allow r: x"), Marker(62.0, "deny r: y"))
    player.seek(10)
    assert player.next_marker() == Marker(62.0, "deny r: y")
    assert player.previous_marker() == Marker(1.0, "allow r: x")


def test_nothing_recorded_plays_nothing() -> None:
    player = Player([])
    assert list(player) == []
    assert (player.duration, player.seek(3)) == (0.0, ())


@given(st.lists(st.floats(0, 1000)), st.floats(0, 1000))
def test_seek_then_play_shows_every_event_once(times: list[float], where: float) -> None:
    events = [Event(time, "o", str(n)) for n, time in enumerate(sorted(times))]
    player = Player(events)
    before = player.seek(where)
    after = list(player)
    assert [*before, *(event for _, event in after)] == events
    assert sum(delay for delay, _ in after) == pytest.approx(
        player.duration - min(where, player.duration)
    )
