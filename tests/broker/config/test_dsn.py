from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config.dsn import (
    METHODS,
    Dsn,
    dsn_problem,
    parse_dsn,
    store_dsn_problem,
    store_warnings,
)

HEAD = "host=h user=u dbname=d "


@pytest.mark.parametrize(
    ("text", "dsn"),
    [
        (
            "postgresql://app@db.internal:5433/orders?sslmode=verify-full&sslrootcert=ca.pem",
            Dsn((("db.internal", 5433),), "app", "orders", "verify-full", "ca.pem"),
        ),
        ("postgres://app@h/d", Dsn((("h", 5432),), "app", "d")),
        ("postgresql://app@[::1]/d", Dsn((("::1", 5432),), "app", "d")),
        (
            "host=/run/postgresql user='my app' dbname=d port=1 sslmode=disable",
            Dsn((("/run/postgresql", 1),), "my app", "d", "disable"),
        ),
        ("postgresql://u@a:1,b:2/d", Dsn((("a", 1), ("b", 2)), "u", "d")),
        ("postgresql://u@a,b/d", Dsn((("a", 5432), ("b", 5432)), "u", "d")),
        ("host=a,b port=6 user=u dbname=d", Dsn((("a", 6), ("b", 6)), "u", "d")),
        (
            HEAD + "sslmode=require sslcert=c sslkey=k sslnegotiation=direct gssencmode=disable",
            Dsn((("h", 5432),), "u", "d", "require", None, "c", "k", "direct"),
        ),
        (
            HEAD + "sslmode=verify-full sslrootcert=system channel_binding=require",
            Dsn((("h", 5432),), "u", "d", "verify-full", channel_binding="require"),
        ),
        (
            HEAD + "connect_timeout=7 target_session_attrs=primary",
            Dsn((("h", 5432),), "u", "d", connect_timeout=7, session_attrs="primary"),
        ),
        (HEAD + "connect_timeout=0", Dsn((("h", 5432),), "u", "d")),
    ],
)
def test_accepted(text: str, dsn: Dsn) -> None:
    assert dsn_problem(text) is None
    assert parse_dsn(text) == dsn


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("scram-sha-256", {"scram-sha-256"}),
        ("scram-sha-256,none", {"scram-sha-256", "none"}),
        ("!password,!md5", {"scram-sha-256", "none"}),
        ("", set(METHODS)),
    ],
)
def test_the_ways_of_logging_in_that_are_left(written: str, left: set[str]) -> None:
    text = f"{HEAD} require_auth='{written}'"
    assert dsn_problem(text) is None
    assert parse_dsn(text).methods == left


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://app:hunter2@h/d", "a password does not belong in the dsn"),
        ("host=h user=u dbname=d password=hunter2", "a password does not belong in the dsn"),
        ("postgresql://u@h/d?password=hunter2", "a password does not belong in the dsn"),
        ("host=h user=u dbname=d passfile=/hunter2", "a password does not belong in the dsn"),
        (HEAD + "sslpassword=hunter2", "a password does not belong in the dsn; use `sslpassword:"),
        ("postgresql://u:hunter2/x@h/d", "user must be in it"),
        ("host=h user=u dbname=d hunter2", "is not a libpq URI or keyword text"),
        ("host=h user=u dbname=d hunter2=x", "is not a libpq URI or keyword text"),
        ("mysql://u@h/d", "is not a libpq URI or keyword text"),
        ("host=h user=u dbname=d service=x", "the option service is not accepted"),
        ("postgresql://u@h/d?options=-csearch_path%3Dx", "the option options is not accepted"),
        ("host=h user=u dbname=d application_name=x", "the option application_name is not acc"),
        ("host=h user=u dbname=d hostaddr=1.2.3.4", "the option hostaddr is not accepted"),
        (HEAD + "load_balance_hosts=random", "the option load_balance_hosts is not accepted; sev"),
        ("host=h", "user and dbname must be in it"),
        ("postgresql://u@/d", "host must be in it"),
        ("host=h1,,h2 user=u dbname=d", "names 1 ports for 2 hosts"),
        ("host=h user=u dbname=d port=0", "the port must be from 1"),
        ("host=h user=u dbname=d port=1,2", "names 2 ports for 1 hosts"),
        ("host=h user=u dbname=d sslmode=maybe", "sslmode must be one of"),
        (HEAD + "gssencmode=prefer", "gssencmode must be one of disable"),
        (HEAD + "channel_binding=require", "channel_binding=require is for sslmode require"),
        (HEAD + "sslnegotiation=direct", "sslnegotiation=direct is for sslmode require"),
        (HEAD + "sslmode=require sslnegotiation=fast", "sslnegotiation must be one of"),
        (HEAD + "sslmode=require sslcert=c", "sslcert and sslkey belong together"),
        (HEAD + "sslcert=c sslkey=k", "a client certificate is for sslmode require"),
        (HEAD + "sslmode=verify-ca sslrootcert=system", "sslrootcert=system is for sslmode=ver"),
        (HEAD + "connect_timeout=soon", "connect_timeout must be seconds"),
        (HEAD + "connect_timeout=601", "connect_timeout must be seconds"),
        (HEAD + "target_session_attrs=best", "target_session_attrs must be one of"),
        (HEAD + "require_auth=gss", "require_auth must be some of"),
        (HEAD + "require_auth=md5,!none", "require_auth must be some of"),
        (HEAD + "require_auth=!none,!password,!md5,!scram-sha-256", "require_auth must be some of"),
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
            assert parse_dsn(dsn).hosts[0][0]


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://interlock@db1,db2:5433/interlock?target_session_attrs=read-write",
        "postgresql:///interlock?host=/run/postgresql",
        "postgres://u:p@db/interlock?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://?service=interlock",
    ],
)
def test_a_store_may_say_what_libpq_knows(dsn: str) -> None:
    assert store_dsn_problem(dsn) is None


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql://u:hunter2@db/x?colour=red", "is not a libpq URI"),
        ("postgresql://u:hunter2@[db/x", "is not a libpq URI"),
        ("postgresql://u:hunter2@db", "names no database"),
        ("postgresql://u:hunter2@db/x?sslmode=hunter2", "sslmode must be one of"),
    ],
)
def test_a_store_is_refused_without_repeating_it(dsn: str, said: str) -> None:
    told = store_dsn_problem(dsn)
    assert told is not None
    assert said in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("dsn", "count"),
    [
        ("postgresql://u@db/x?sslmode=verify-full", 0),
        ("postgresql://u@127.0.0.1/x", 0),
        ("postgresql:///x?host=/run/postgresql", 0),
        ("postgresql://u@db/x", 1),
        ("postgresql://u@127.0.0.1,db/x?sslmode=require", 1),
        ("postgresql://u:p@db/x?sslmode=verify-ca", 1),
        ("postgresql://u:p@db/x", 2),
    ],
)
def test_what_of_a_store_is_warned_of(dsn: str, count: int) -> None:
    assert len(store_warnings(dsn)) == count
