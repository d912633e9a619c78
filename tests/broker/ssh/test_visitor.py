"""Who stands at the door may do nothing when their coming could not be written, or over a limit."""

from __future__ import annotations

import pytest

from broker.errors import Denied, EvidenceFailure, TryLater
from broker.ssh.visitor import Visitor, proven
from tests.fakes import ALICE


def test_a_fault_of_the_log_comes_before_all_else() -> None:
    Visitor("box", "127.0.0.1", identity=ALICE).check()
    with pytest.raises(EvidenceFailure, match="disk full"):
        Visitor("box", "127.0.0.1", identity=ALICE, surplus="many", fault="disk full").check()
    with pytest.raises(TryLater, match="many"):
        Visitor("box", "127.0.0.1", identity=ALICE, surplus="many").check()


def test_a_plain_key_proves_nobody() -> None:
    assert proven(Visitor("box", "127.0.0.1", identity=ALICE)) is ALICE
    with pytest.raises(Denied, match="a certificate is needed"):
        proven(Visitor("box", "127.0.0.1"))
