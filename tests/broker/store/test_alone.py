"""The only node on its store counts nobody else, and buries nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.store.alone import Alone
from tests.fakes import ALICE, NOON

if TYPE_CHECKING:
    from broker.store.contract import Nodes


def test_there_is_nobody_else() -> None:
    nodes: Nodes = Alone("here")
    nodes.renew(["s1"], {str(ALICE): 3})
    nodes.bury(NOON, lambda *_: pytest.fail("nobody can be dead"))
    assert nodes.sessions_elsewhere(str(ALICE)) == (0, 0)
    assert nodes.connections_elsewhere(str(ALICE)) == (0, 0)
    assert all(nodes.knock("::1", 1) for _ in range(3))
    nodes.leave()
    assert nodes.name == "here"
