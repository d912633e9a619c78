"""One SQL text, or psql with the options that are safe."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import UsageError
from broker.postgres.options import PsqlRequest, parse


@pytest.mark.parametrize(
    "text", ["SELECT 1", "select 'psql -c x'", "psqlx", "\\d orders", "select $$it's$$", ""]
)
def test_anything_else_is_sql_exactly_as_given(text: str) -> None:
    assert parse(text) == PsqlRequest((text,))


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        ("psql", PsqlRequest(())),
        ("psql -c 'SELECT 1'", PsqlRequest(("SELECT 1",))),
        ("psql -cSELECT", PsqlRequest(("SELECT",))),
        (
            "psql -At -c a -c 'b c'",
            PsqlRequest(("a", "b c"), ("\\pset format unaligned", "\\pset tuples_only on")),
        ),
        (
            "psql -XAtF, -c a",
            PsqlRequest(
                ("a",),
                ("\\pset format unaligned", "\\pset tuples_only on", "\\pset fieldsep ','"),
            ),
        ),
        ("psql -F '\t'", PsqlRequest((), ("\\pset fieldsep '\\t'",))),
        ("psql --csv --command=a", PsqlRequest(("a",), ("\\pset format csv",))),
        ("psql --pset null=NULL -q", PsqlRequest((), ("\\pset null 'NULL'", "\\set QUIET on"))),
        ("psql -v ON_ERROR_STOP=1", PsqlRequest(())),
    ],
)
def test_the_safe_options(command: str, request_: PsqlRequest) -> None:
    assert parse(command) == request_


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("psql -o /tmp/x", "-o"),
        ("psql -f /etc/passwd", "-f"),
        ("psql --file=x", "--file"),
        ("psql -h evil", "-h"),
        ("psql -Ah evil", "-h"),
        ("psql -L log", "-L"),
        ("psql -d x", "-d"),
        ("psql --csv=x", "--csv"),
        ("psql otherdb", "otherdb"),
        ("psql -- x", "--"),
        ("psql -v PROMPT1=x", "-v PROMPT1"),
        ("psql -P pager=always", "-P pager"),
        ('psql -P "null=\'; \\! id"', "-P null"),
        ('psql -F "\'"', "-F"),
        ("psql -F '\\'", "-F"),
        ("psql -F '`id`'", "-F"),
        ("psql -F :x", "-F"),
        ("psql -c", "-c"),
        ("psql -c 'x", "could not be read"),
    ],
)
def test_the_others_are_refused_by_name(command: str, named: str) -> None:
    with pytest.raises(UsageError, match=named.replace("\\", "\\\\")):
        parse(command)


@given(st.text(st.sampled_from(list("psql -AtxFRPcv='\"\\`:!|;\n\tnull,pager")), max_size=40))
@settings(max_examples=200)
def test_no_setting_can_hold_a_second_command(text: str) -> None:
    try:
        request = parse("psql " + text)
    except UsageError:
        return
    for line in request.settings:
        head, _, value = line.partition("'")
        assert head.count("\\") == 1
        assert "\n" not in line
        assert not set('`:"!').intersection(line)
        assert value.rstrip("'").replace("\\t", "").replace("\\n", "").count("\\") == 0
        assert value.count("'") <= 1
