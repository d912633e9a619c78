"""Whom and what a lock bars, and how it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.model import Identity, Kind
from broker.policy.locks import Lock, Subject, person
from tests.fakes import ALICE, BOB, NOON

JOB = Identity("acme/shop", Kind.AGENT, "ci", "repo:acme", ("ci",), acting_for="alice@example.com")


def lock(subject: Subject, name: str) -> Lock:
    return Lock(subject, name, "human:dana@example.com@corp", NOON, "stolen")


@pytest.mark.parametrize(
    ("name", "alice", "job", "bob"),
    [
        ("alice@example.com", True, True, False),
        ("ALICE@Example.com", True, True, False),
        ("human:alice@example.com@corp", True, True, False),
        ("human:alice@example.com@other", False, True, False),
        ("agent:alice@example.com@corp", False, False, False),
        ("acme/shop", False, True, False),
        ("agent:acme/shop@ci", False, True, False),
        ("group:engineers", False, False, False),
        ("*", False, False, False),
    ],
)
def test_an_identity_and_those_that_act_for_it(
    name: str, alice: bool, job: bool, bob: bool
) -> None:
    bar = lock(Subject.IDENTITY, name)
    barred = [bar.bars(who, "orders", "s1") for who in (ALICE, JOB, BOB)]
    assert barred == [alice, job, bob]


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_lock_of_a_name_bars_every_identity_of_that_name(name: str, issuer: str) -> None:
    who = replace(ALICE, name=name, issuer=issuer)
    assert lock(Subject.IDENTITY, name).bars(who, None, None)
    assert lock(Subject.IDENTITY, str(who)).bars(who, None, None)


def test_an_issuer_a_target_and_a_session() -> None:
    assert lock(Subject.ISSUER, "corp").bars(ALICE, None, None)
    assert not lock(Subject.ISSUER, "corp").bars(JOB, "corp", "corp")
    assert lock(Subject.TARGET, "orders").bars(ALICE, "orders", None)
    assert not lock(Subject.TARGET, "orders").bars(ALICE, None, "orders")
    assert lock(Subject.SESSION, "s1").bars(ALICE, "orders", "s1")
    assert not lock(Subject.SESSION, "s1").bars(ALICE, "s1", None)


def test_the_sentences() -> None:
    mine, target = lock(Subject.IDENTITY, "alice@example.com"), lock(Subject.TARGET, "orders")
    assert mine.refusal() == "you are locked by dana@example.com: stolen"
    assert mine.ending() == f"this session was ended: {mine.refusal()}"
    assert target.refusal() == "orders is locked by dana@example.com: stolen"
    killed = lock(Subject.SESSION, "s1").ending()
    assert killed == "this session was ended by dana@example.com: stolen"


@pytest.mark.parametrize(
    ("key_id", "name"),
    [("human:a@b.c@corp", "a@b.c"), ("agent:x/y@ci", "x/y"), ("human:x", "human:x"), ("x", "x")],
)
def test_person(key_id: str, name: str) -> None:
    assert person(key_id) == name
