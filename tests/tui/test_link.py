"""The broker's clock by a steady clock of our own, and how the link is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.tui.fake_control import NOON, FakeClock
from tui.link import STALE_AFTER, Link, State, ago, left, minutes
from tui.people import Person, person


def health(link: Link) -> State:
    return link.state


def test_a_link_is_live_while_the_broker_is_heard() -> None:
    clock = FakeClock()
    link = Link(clock)
    assert (health(link), link.now) == (State.CONNECTING, None)
    link.heard(NOON)
    clock.seconds += STALE_AFTER
    assert (health(link), link.now) == (State.LIVE, NOON + timedelta(seconds=STALE_AFTER))
    clock.seconds += 0.1
    assert health(link) is State.STALE
    link.heard(NOON)
    assert health(link) is State.LIVE
    link.lose()
    link.heard(NOON)
    assert health(link) is State.LOST


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (258, "4:18"), (3599.9, "59:59"), (3787, "1:03:07")]
)
def test_minutes(seconds: float, shown: str) -> None:
    assert minutes(seconds) == shown
    assert left(NOON + timedelta(seconds=seconds), NOON) == shown


def test_time_left_is_never_negative_and_unknown_without_a_clock() -> None:
    assert left(NOON, NOON + timedelta(hours=1)) == "0:00"
    assert left(NOON, None) == "-:--"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "0 s ago"), (42, "42 s ago"), (150, "2 min ago"), (9000, "2 h ago")]
)
def test_ago(seconds: int, shown: str) -> None:
    assert ago(NOON, NOON + timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("key_id", "known"),
    [
        ("human:alice@example.com@corp", Person("alice@example.com", "human", "corp")),
        ("agent:acme/shop@github", Person("acme/shop", "agent", "github")),
        ("alice", Person("alice", "", "")),
        ("human:alice", Person("alice", "human", "")),
        ("", Person("", "", "")),
    ],
)
def test_key_ids_as_people_read_them(key_id: str, known: Person) -> None:
    assert person(key_id) == known
