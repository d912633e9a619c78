"""The lock verbs: who may say them, what a word means, and that each is audited before it acts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config.model import Config
from broker.control.holds import Holds
from broker.control.locks import REASON_LIMIT, LockVerbs
from broker.errors import Denied, EvidenceFailure, UsageError
from broker.model import Identity, Kind
from broker.store.locks import LockTable
from broker.store.sqlite import Store
from broker.targets import CommandTarget
from tests.broker.identity.samples import issuer
from tests.fakes import ALICE, BOB, NOON, FakeAudit, Journal, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DANA = Identity("dana@example.com", Kind.HUMAN, "corp", "u-dana", ("admins",))
BOT = replace(BOB, kind=Kind.AGENT, name="bot")


class World:
    """The verbs over a real store."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(path)
        self.table = LockTable.open(path)
        self.audit = FakeAudit(Journal())
        targets = {name: CommandTarget(name, ("sh",)) for name in ("orders", "corp")}
        issuers = (issuer(name="corp"), issuer(name="ci"))
        config = Config(path, "h", "::1", 0, path.parent, "sqlite", issuers, targets, ())
        self.holds = Holds(self.table, self.audit, lambda: config, lambda _: False)
        self.verbs = LockVerbs(
            config=lambda: config,
            holds=self.holds,
            store=self.store,
            audit=self.audit,
            clock=lambda: NOON,
            redact=lambda text: text.replace("4111111111111111", "****"),
            answers_for=lambda by, target: "dba" in by.groups and target == "orders",
        )

    def locked(self) -> list[str]:
        return [str(lock) for lock in self.table.all()]

    def told(self) -> list[str]:
        return [event.type for event in self.audit.events]

    def close(self) -> None:
        self.table.close()
        self.store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "interlock.sqlite")
    made.store.save_session_opened(session(), recording=None)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("word", "locked"),
    [
        ("orders", "target:orders"),
        ("target:corp", "target:corp"),
        ("issuer:corp", "issuer:corp"),
        ("ci", "issuer:ci"),
        ("alice@example.com", "identity:alice@example.com"),
        ("agent:acme/shop@ci", "identity:agent:acme/shop@ci"),
        ("identity:orders", "identity:orders"),
        ("s1", "session:s1"),
    ],
)
def test_what_a_word_means(world: World, word: str, locked: str) -> None:
    world.verbs.lock(DANA, word, "why")
    assert world.locked() == [locked]
    assert world.told() == ["session.killed" if word == "s1" else "lock.set"]
    world.verbs.unlock(DANA, word if word != "identity:orders" else locked, "")
    assert world.locked() == []
    assert world.told()[-1] == "lock.lifted"


@pytest.mark.parametrize(
    "word",
    [
        "corp",
        "oders",
        "issuer:x",
        "target:x",
        "session:x",
        "identity:",
        "identity:\x1b[2J",
        ":",
        "",
    ],
)
def test_what_is_not_clear_locks_nothing(world: World, word: str) -> None:
    with pytest.raises(UsageError):
        world.verbs.lock(DANA, word, "why")
    assert (world.locked(), world.told()) == ([], [])


@given(st.text(max_size=30))
def test_no_word_is_a_fault(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    world = World(tmp_path_factory.getbasetemp() / "words.sqlite")
    try:
        world.verbs.lock(DANA, word, word)
    except UsageError:
        assert world.told() == []
    finally:
        world.close()


@pytest.mark.parametrize("who", [ALICE, BOB, BOT], ids=str)
def test_only_admins_lock_and_lift(world: World, who: Identity) -> None:
    world.verbs.lock(DANA, "orders", "why")
    with pytest.raises(Denied, match="locking is for group:admins"):
        world.verbs.lock(who, "ci", "why")
    with pytest.raises(Denied, match="locking is for group:admins"):
        world.verbs.unlock(who, "orders", "")
    with pytest.raises(Denied):
        world.verbs.listed(who)
    assert world.locked() == ["target:orders"]


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (DANA, True),
        (ALICE, True),
        (BOB, True),
        (BOT, False),
        (replace(ALICE, name="eve@example.com"), False),
        (replace(ALICE, issuer="elsewhere"), False),
    ],
    ids=["admin", "owner", "approver", "agent", "another", "another issuer's"],
)
def test_who_may_kill(world: World, who: Identity, may: bool) -> None:
    if may:
        world.verbs.kill(who, "s1", "")
        assert world.told() == ["session.killed"]
        return
    with pytest.raises(UsageError, match="there is no session 's1' for you"):
        world.verbs.kill(who, "s1", "")
    assert (world.locked(), world.told()) == ([], [])


def test_what_cannot_be_audited_is_not_done(world: World) -> None:
    world.audit.journal.failing = "audit"
    for act in (world.verbs.lock, world.verbs.kill):
        with pytest.raises(EvidenceFailure):
            act(DANA, "s1", "why")
    with pytest.raises(EvidenceFailure):
        world.verbs.lock(DANA, "orders", "why")
    assert world.locked() == []


def test_a_reason_is_one_masked_line_that_no_terminal_obeys(world: World) -> None:
    told = world.verbs.lock(DANA, "orders", "card 4111111111111111\n\x1b]0;x\x07" + "y" * 1000)
    reason = str(told["reason"])
    assert reason.startswith("card **** ⟨1B⟩]0;x⟨07⟩y")
    assert len(reason) == REASON_LIMIT
    assert world.audit.events[0].fields["reason"] == reason


def test_a_session_that_is_over_cannot_be_killed(world: World) -> None:
    world.store.interrupt_sessions(NOON)
    with pytest.raises(UsageError, match="is over: interrupted"):
        world.verbs.kill(DANA, "s1", "")
