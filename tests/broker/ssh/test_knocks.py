"""Logins by address: so many a minute, refilled evenly, in bounded memory."""

from __future__ import annotations

from typing import NoReturn

import pytest

from broker.errors import TryLater
from broker.ssh.knocks import SOURCES, Knocks


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refuse(what: str, told: str, *, source: str) -> NoReturn:
    assert what == "logins_per_source"
    raise TryLater(f"{source}: {told}")


def test_so_many_a_minute_and_then_evenly() -> None:
    clock = Clock()
    knocks = Knocks(lambda: 6, refuse, clock)
    for _ in range(6):
        knocks("10.0.0.1")
    with pytest.raises(TryLater, match=r"10\.0\.0\.1: 6 logins a minute .* try in 11 s"):
        knocks("10.0.0.1")
    knocks("10.0.0.2")
    clock.now += 10
    knocks("10.0.0.1")
    with pytest.raises(TryLater):
        knocks("10.0.0.1")
    clock.now += 3600
    for _ in range(6):
        knocks("10.0.0.1")
    with pytest.raises(TryLater):
        knocks("10.0.0.1")


def test_a_lower_limit_holds_at_once() -> None:
    limit = 100
    knocks = Knocks(lambda: limit, refuse, Clock())
    knocks("10.0.0.1")
    limit = 1
    knocks("10.0.0.1")
    with pytest.raises(TryLater):
        knocks("10.0.0.1")


def test_memory_is_bounded() -> None:
    knocks = Knocks(lambda: 1, refuse, Clock())
    for number in range(SOURCES + 100):
        knocks(str(number))
    assert len(knocks._left) == SOURCES


def test_all_nodes_together_may_be_too_many_but_only_after_this_one_let_them() -> None:
    asked: list[tuple[str, int]] = []

    def shared(source: str, most: int) -> bool:
        asked.append((source, most))
        return len(asked) < 2

    knocks = Knocks(lambda: 3, refuse, Clock(), shared)
    knocks("10.0.0.1")
    for _ in range(2):
        with pytest.raises(TryLater, match=r"3 logins a minute .* try in \d+ s"):
            knocks("10.0.0.1")
    with pytest.raises(TryLater):
        knocks("10.0.0.1")
    assert asked == [("10.0.0.1", 3)] * 3
