"""A flood of the same refusal is a few entries that say how many there were."""

from __future__ import annotations

from broker.control.seldom import KEYS, Seldom


def test_the_first_is_told_and_then_one_in_a_while_with_their_number() -> None:
    now = 100.0
    seldom = Seldom(10, lambda: now)
    assert [seldom.count("a") for _ in range(4)] == [1, 0, 0, 0]
    assert seldom.count("b") == 1
    now = 109.9
    assert seldom.count("a") == 0
    now = 110
    assert seldom.count("a") == 5
    assert seldom.count("a") == 0


def test_memory_is_bounded() -> None:
    seldom = Seldom(10, lambda: 0.0)
    for number in range(KEYS * 3):
        seldom.count(number)
    assert len(seldom._told) == KEYS
    assert seldom.count(KEYS * 3 - 1) == 0
