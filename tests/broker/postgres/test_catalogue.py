from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.model import Facts, Part
from broker.postgres.catalogue import MaskedColumn, masked_columns, tainted
from broker.postgres.upstream import connect
from tests.broker.postgres.harness import SETTINGS

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

PARTITIONED = """
CREATE TABLE people (id int, ssn text) PARTITION BY LIST (id);
CREATE TABLE people_1 PARTITION OF people FOR VALUES IN (1);
CREATE VIEW contacts_2 AS SELECT upper(mail) AS loud FROM contacts;
"""


async def found(postgres: PostgresServer, dbname: str, *patterns: str) -> set[str]:
    upstream = await connect(postgres.target(dbname), postgres.app_password, SETTINGS)
    columns = await masked_columns(upstream, patterns)
    await upstream.close()
    return {f"{c.schema}.{c.table}.{c.column}={c.pattern}" for c in columns}


async def test_columns_are_found_by_pattern_and_followed_through_views_and_partitions(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute(PARTITIONED, orders)
    email = "public.customers.email"
    assert await found(postgres, orders, email, "*.people.ssn") == {
        f"public.customers.email={email}",
        f"public.contacts.id={email}",
        f"public.contacts.mail={email}",
        f"public.contacts_2.loud={email}",
        "public.people.ssn=*.people.ssn",
        "public.people_1.ssn=*.people.ssn",
    }


async def test_the_first_pattern_counts(postgres: PostgresServer, orders: str) -> None:
    assert await found(postgres, orders, "public.customers.ssn", "*.*.ssn") == {
        "public.customers.ssn=public.customers.ssn"
    }


async def test_no_rule_no_question(postgres: PostgresServer, orders: str) -> None:
    mark = postgres.log_mark()
    assert await found(postgres, orders) == set()
    assert "pg_attribute" not in postgres.logged_since(mark)


def test_a_statement_is_tainted_by_its_tables() -> None:
    columns = (MaskedColumn(1, 1, "public", "customers", "email", "p"),)
    reads = Facts((Part("select", table="public.orders"), Part("select", table="public.customers")))
    assert tainted(reads, columns)
    assert not tainted(Facts((Part("select", table="other.customers"),)), columns)
    assert not tainted(reads, ())
