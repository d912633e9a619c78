"""What a name means: the system's tables before public, and which of them anybody may read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.policy import patterns
from broker.policy.sql import names
from tests.broker.policy.sql.spoken import parts


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("TABLE pg_class", "~select pg_catalog.pg_class"),
        ("TABLE pg_catalog.pg_roles", "~select pg_catalog.pg_roles"),
        ("TABLE public.pg_class", "select public.pg_class"),
        ("TABLE information_schema.columns", "~select information_schema.columns"),
        ("TABLE pg_statistic_ext", "~select pg_catalog.pg_statistic_ext"),
        ("TABLE pg_authid", "!select pg_catalog.pg_authid"),
        ("TABLE pg_shadow", "!select pg_catalog.pg_shadow"),
        ("TABLE pg_stats", "!select pg_catalog.pg_stats"),
        ("TABLE pg_statistic", "!select pg_catalog.pg_statistic"),
        ("TABLE pg_stat_activity", "!select pg_catalog.pg_stat_activity"),
        ("TABLE pg_user_mappings", "!select pg_catalog.pg_user_mappings"),
        ("TABLE pg_catalog.pg_new_in_19", "!select pg_catalog.pg_new_in_19"),
        ("TABLE pg_toast.pg_toast_16400", "!select pg_toast.pg_toast_16400"),
        ("TABLE information_schema.user_mapping_options", None),
        ("DELETE FROM pg_class WHERE oid = 1", "!delete pg_catalog.pg_class"),
        ("UPDATE pg_settings SET setting = 'off' WHERE name = 'x'", None),
        ("TABLE tables", "select public.tables"),
    ],
)
def test_tables_of_the_system(text: str, part: str | None) -> None:
    found = parts(text)
    assert any(each.startswith("!") for each in found) if part is None else part in found


@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_no_name_can_pretend_to_be_in_another_schema(schema: str, name: str) -> None:
    written = names.dotted(schema, name)
    assert patterns.table("public.*", written) is (schema == "public")
    assert patterns.table("*.secrets", written) is (name == "secrets")


def test_names_with_dots_or_quotes_are_quoted() -> None:
    assert names.dotted("a", 'b"c.d') == 'a."b""c.d"'
    assert not patterns.table("a.*", names.dotted("a.b", "c"))
