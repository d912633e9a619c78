from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.mask.rules import Style
from broker.model import Facts, Part
from broker.postgres.catalogue import Masked, masked
from broker.postgres.upstream import connect
from tests.broker.postgres.harness import SETTINGS

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

PARTITIONED = """
CREATE TABLE people (id int, ssn text) PARTITION BY LIST (id);
CREATE TABLE people_1 PARTITION OF people FOR VALUES IN (1);
CREATE VIEW contacts_2 AS SELECT upper(mail) AS loud FROM contacts;
CREATE TABLE "odd.name" (id int);
"""
NAMES = """
SELECT a.attrelid::int, a.attnum::int, c.relname || '.' || a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
"""


async def found(postgres: PostgresServer, dbname: str, rules: dict[str, Style]) -> Masked:
    upstream = await connect(postgres.target(dbname), postgres.app_password, SETTINGS)
    answer = await masked(upstream, rules, "shop")
    await upstream.close()
    return answer


def named(postgres: PostgresServer, dbname: str, answer: Masked) -> dict[str, Style]:
    names = {(oid, number): str(name) for oid, number, name in postgres.execute(NAMES, dbname)}
    return {names[column]: style for column, style in answer.styles.items()}


async def test_columns_are_found_by_pattern_and_followed_through_views_and_partitions(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute(PARTITIONED, orders)
    rules = {"shop:public.customers.email": Style.PARTIAL, "*:*.people.ssn": Style.REDACT}
    answer = await found(postgres, orders, rules)
    assert named(postgres, orders, answer) == {
        "customers.email": Style.PARTIAL,
        "contacts.id": Style.PARTIAL,
        "contacts.mail": Style.PARTIAL,
        "contacts_2.loud": Style.PARTIAL,
        "people.ssn": Style.REDACT,
        "people_1.ssn": Style.REDACT,
    }
    assert {"public.orders", 'public."odd.name"', "pg_catalog.pg_class"} <= answer.clean
    assert answer.clean.isdisjoint({"public.customers", "public.contacts", "public.people_1"})


async def test_a_column_of_a_partition_is_masked_through_its_table_too(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute(PARTITIONED, orders)
    answer = await found(postgres, orders, {"shop:public.people_1.ssn": Style.REDACT})
    assert named(postgres, orders, answer) == {
        "people.ssn": Style.REDACT,
        "people_1.ssn": Style.REDACT,
    }


@pytest.mark.parametrize("target", ["shop", "*", "sh*"])
async def test_a_target_may_be_named_by_a_pattern(
    postgres: PostgresServer, orders: str, target: str
) -> None:
    answer = await found(postgres, orders, {f"{target}:public.customers.ssn": Style.REDACT})
    assert named(postgres, orders, answer) == {"customers.ssn": Style.REDACT}


async def test_the_strictest_style_counts_also_in_a_view_of_several_columns(
    postgres: PostgresServer, orders: str
) -> None:
    postgres.execute("CREATE VIEW both_of AS SELECT email || ssn AS x FROM customers", orders)
    partial = {"shop:*.customers.*": Style.PARTIAL}
    strict = {"*:public.customers.ssn": Style.REDACT}
    for rules in (partial | strict, strict | partial):
        styles = named(postgres, orders, await found(postgres, orders, rules))
        assert styles["customers.ssn"] is Style.REDACT
        assert styles["customers.email"] is Style.PARTIAL
        assert styles["both_of.x"] is Style.REDACT


async def test_no_rule_no_question(postgres: PostgresServer, orders: str) -> None:
    mark = postgres.log_mark()
    answer = await found(postgres, orders, {"other:public.customers.email": Style.REDACT})
    assert answer == Masked()
    assert "pg_attribute" not in postgres.logged_since(mark)


CLEAN = Masked({(1, 1): Style.REDACT}, frozenset({1, 2}), frozenset({"public.orders"}))


@pytest.mark.parametrize(
    ("part", "tainted"),
    [
        (Part("select", table="public.orders"), False),
        (Part("select", function="lower", implied=True), False),
        (Part("select"), False),
        (Part("select", table="public.customers"), True),
        (Part("select", table="public.made_since"), True),
        (Part("select", function="find_customer", explicit=True), True),
        (Part("do", object="code block", explicit=True), True),
        (Part("call", object="procedure p", explicit=True), True),
    ],
)
def test_a_statement_is_tainted_unless_all_it_touches_is_known_to_be_clean(
    part: Part, tainted: bool
) -> None:
    facts = Facts((Part("select", table="public.orders"), part))
    assert CLEAN.tainted(facts) is tainted
    assert not Masked().tainted(facts)
