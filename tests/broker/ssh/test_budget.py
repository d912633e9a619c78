"""Bytes before authentication are bounded; afterwards nothing stands in the way."""

from __future__ import annotations

from broker.ssh.budget import Budget


class FakeConnection:
    def __init__(self) -> None:
        self.got = b""

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        self.got += data


def test_what_is_within_is_delivered_and_what_is_beyond_ends_it_once() -> None:
    conn, ends = FakeConnection(), []
    Budget(lambda: ends.append("over"), limit=10).attach(conn)  # type: ignore[arg-type]
    conn.data_received(b"0123456789")
    assert (conn.got, ends) == (b"0123456789", [])
    conn.data_received(b"x")
    conn.data_received(b"y")
    assert (conn.got, ends) == (b"0123456789", ["over"])


def test_lifted_it_is_gone() -> None:
    conn, ends = FakeConnection(), []
    budget = Budget(lambda: ends.append("over"), limit=10)
    budget.attach(conn)  # type: ignore[arg-type]
    budget.lift()
    conn.data_received(b"x" * 1000)
    assert (len(conn.got), ends) == (1000, [])
    assert "data_received" not in vars(conn)
