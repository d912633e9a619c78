"""Rows and back: nothing is lost, whatever the texts hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.model import Identity, Impact, Kind, Parameter
from broker.review.life import Approval, Review, State, Trial
from broker.store.records import SessionRecord
from broker.store.rows import (
    identity_of,
    identity_text,
    review_of,
    review_row,
    session_of,
    session_row,
    time_text,
)
from tests.broker.review.test_life import review

# What SSH delivers as bytes is decoded with surrogateescape: lone surrogates stand for bytes.
wild = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
plain = st.text(max_size=20)
times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
words = st.lists(plain, max_size=3).map(tuple)
identities = st.builds(
    Identity,
    name=plain,
    kind=st.sampled_from(Kind),
    issuer=plain,
    subject=plain,
    groups=words,
    acting_for=st.none() | plain,
    claims=st.dictionaries(plain, plain, max_size=3),
    serial=st.integers(0, 1 << 63),
    fingerprint=plain,
    expires=st.none() | times,
)
reviews = st.builds(
    Review,
    id=plain,
    session=plain,
    identity=identities,
    target=plain,
    rule=plain,
    reason=plain,
    statement=wild,
    digest=plain,
    asked=times,
    expires=times,
    approvers=words,
    quorum=st.integers(1, 9),
    acting_for=st.none() | plain,
    why=wild,
    values=st.lists(st.none() | st.binary(max_size=9), max_size=3).map(tuple),
    cwd=st.none() | wild,
    impact=st.builds(
        Impact,
        estimate=st.none() | st.integers(0, 1 << 40),
        unknown=plain,
        sizes=words,
        before=st.none() | words,
        parameters=st.lists(
            st.builds(Parameter, type=st.integers(0, 1 << 32), binary=st.booleans()), max_size=3
        ).map(tuple),
        max_affected=st.none() | st.integers(0, 9),
    ),
    trial=st.none()
    | st.builds(Trial, by=plain, at=times, rows=st.none() | st.integers(0, 9), why_not=plain),
    config_hash=plain,
    actions=words,
    tables=words,
    commands=st.lists(wild, max_size=3).map(tuple),
    touches=st.lists(wild, max_size=3).map(tuple),
    approvals=st.lists(st.builds(Approval, identities, times, plain), max_size=2).map(tuple),
    state=st.sampled_from(State),
    closed_by=st.none() | plain,
    closed_reason=plain,
    closed_at=st.none() | times,
)


@given(identities)
def test_identities(identity: Identity) -> None:
    assert identity_of(identity_text(identity)) == identity


@given(reviews)
def test_reviews(review: Review) -> None:
    approvals: list[dict[str, Any]] = [
        {"by": identity_text(given.by), "at": time_text(given.at), "reason": given.reason}
        for given in review.approvals
    ]
    assert review_of(review_row(review), approvals) == review


@given(wild, times, st.none() | times)
def test_sessions(reason: str, started: datetime, ended: datetime | None) -> None:
    record = SessionRecord("s", "i", None, "t", "ssh", "command", started, ended, reason=reason)
    assert session_of(session_row(record)) == record


@given(times, times)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (one < other) == (time_text(one) < time_text(other))
    elsewhere = one.astimezone(timezone(timedelta(hours=5)))
    assert time_text(elsewhere) == time_text(one)


def test_a_review_kept_by_an_older_version_has_no_impact() -> None:
    row = review_row(review())
    body = json.loads(row["body"])
    del body["impact"], body["trial"]
    found = review_of(row | {"body": json.dumps(body)}, [])
    assert (found.impact, found.trial) == (Impact(), None)
