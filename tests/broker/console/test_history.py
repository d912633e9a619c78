"""History is one person's on one target."""

from __future__ import annotations

from broker.console.history import PEOPLE, Histories


def test_each_identity_has_its_own_on_each_target() -> None:
    histories = Histories()
    histories.of("human:ann@corp", "orders").append("select 1;")
    assert histories.of("human:ann@corp", "orders") == ["select 1;"]
    assert histories.of("human:ann@corp", "web1") == []
    assert histories.of("human:bob@corp", "orders") == []


def test_it_does_not_grow_without_end() -> None:
    histories = Histories()
    histories.of("ann", "orders").append("x")
    for n in range(PEOPLE + 5):
        histories.of(f"p{n}", "orders")
    assert histories.of("ann", "orders") == []
    assert len(histories._lists) == PEOPLE
