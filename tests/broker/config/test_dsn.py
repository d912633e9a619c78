from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config.dsn import Dsn, dsn_problem, parse_dsn


@pytest.mark.parametrize(
    ("text", "dsn"),
    [
        (
            "postgresql://app@db.internal:5433/orders?sslmode=verify-full&sslrootcert=ca.pem",
            Dsn("db.internal", 5433, "app", "orders", "verify-full", "ca.pem"),
        ),
        ("postgres://app@h/d", Dsn("h", 5432, "app", "d", "prefer", None)),
        ("postgresql://app@[::1]/d", Dsn("::1", 5432, "app", "d", "prefer", None)),
        (
            "host=/run/postgresql user='my app' dbname=d port=1 sslmode=disable",
            Dsn("/run/postgresql", 1, "my app", "d", "disable", None),
        ),
    ],
)
def test_accepted(text: str, dsn: Dsn) -> None:
    assert dsn_problem(text) is None
    assert parse_dsn(text) == dsn


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://app:hunter2@h/d", "a password does not belong in the dsn"),
        ("host=h user=u dbname=d password=hunter2", "a password does not belong in the dsn"),
        ("postgresql://u@h/d?password=hunter2", "a password does not belong in the dsn"),
        ("host=h user=u dbname=d passfile=/hunter2", "a password does not belong in the dsn"),
        ("postgresql://u:hunter2/x@h/d", "user must be in it"),
        ("host=h user=u dbname=d hunter2", "is not a libpq URI or keyword text"),
        ("host=h user=u dbname=d hunter2=x", "is not a libpq URI or keyword text"),
        ("mysql://u@h/d", "is not a libpq URI or keyword text"),
        ("host=h user=u dbname=d service=x", "the option service is not accepted"),
        ("postgresql://u@h/d?options=-csearch_path%3Dx", "the option options is not accepted"),
        ("host=h user=u dbname=d application_name=x", "the option application_name is not acc"),
        ("host=h user=u dbname=d hostaddr=1.2.3.4", "the option hostaddr is not accepted"),
        ("host=h", "user and dbname must be in it"),
        ("postgresql://u@/d", "host must be in it"),
        ("postgresql://u@h1,h2/d", "names several hosts"),
        ("host=h user=u dbname=d port=0", "the port must be from 1"),
        ("host=h user=u dbname=d port=1,2", "the port must be from 1"),
        ("host=h user=u dbname=d sslmode=maybe", "sslmode must be one of"),
    ],
)
def test_refused_without_repeating_it(text: str, said: str) -> None:
    problem = dsn_problem(text)
    assert problem is not None
    assert problem.startswith(said)
    assert "hunter2" not in problem


@settings(max_examples=150)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=60))
def test_what_has_no_problem_can_be_parsed(text: str) -> None:
    for dsn in (text, f"postgresql://{text}", f"host=h user=u dbname=d {text}"):
        if dsn_problem(dsn) is None:
            assert parse_dsn(dsn).host
