"""Settings that anybody may make, and all the others."""

from __future__ import annotations

import pytest

from broker.model import Answer
from broker.policy.decide import decide
from broker.policy.rules import Block, Rule
from broker.policy.sql import facts
from tests.broker.policy.sql.spoken import parts
from tests.fakes import ALICE


@pytest.mark.parametrize(
    "text",
    [
        "SET application_name = 'psql'",
        "SET TIME ZONE 'UTC'",
        "SET timezone TO DEFAULT",
        "RESET timezone",
        "SET LOCAL datestyle = 'ISO, DMY'",
        "SET datestyle = ISO, DMY",
        "SET extra_float_digits = 3",
        "SET NAMES 'UTF8'",
        "SET client_encoding TO 'unicode'",
        "SET standard_conforming_strings = on",
        "SET search_path = public",
    ],
)
def test_harmless_settings(text: str) -> None:
    assert all(part.startswith("~set setting ") for part in parts(text))


@pytest.mark.parametrize(
    "text",
    [
        "SET statement_timeout = 0",
        "SET client_encoding = 'SJIS'",
        "RESET client_encoding",
        "SET standard_conforming_strings = off",
        "SET bytea_output = 'escape'",
        "SET row_security = off",
        "SET transaction_read_only TO off",
        "SET default_transaction_read_only = off",
        "SET local_preload_libraries = 'evil'",
        "SET my.own = 1",
        'SET "ROLE" = bob',
    ],
)
def test_other_settings_must_be_named_by_a_rule(text: str) -> None:
    assert all(part.startswith("!set setting ") for part in parts(text))


EVERYTHING = [
    Rule("all", ("*",), ("*",), allow=Block()),
    Rule("settings", ("*",), ("*",), allow=Block(actions=("set", "select"))),
    Rule("calls", ("*",), ("*",), allow=Block(functions=("set_config",))),
]


@pytest.mark.parametrize(
    "text",
    [
        "SET search_path = private",
        "SET search_path = public, private",
        "SET LOCAL SEARCH_PATH TO pg_temp",
        "SET SCHEMA 'private'",
        "SELECT set_config('search_path', 'private', false)",
        "SELECT set_config('Search_Path', 'private', true)",
        "SELECT set_config(note, 'private', false) FROM orders",
    ],
)
def test_no_rule_can_let_names_mean_something_else(text: str) -> None:
    verdict = decide(EVERYTHING, ALICE, "orders", facts(text))
    assert verdict.answer is Answer.DENY
    assert "search_path" in verdict.reason


@pytest.mark.parametrize(
    "text",
    ["SELECT set_config('work_mem', '1GB', false)", "SET work_mem = '1GB'", "RESET search_path"],
)
def test_other_settings_are_for_a_rule_that_names_them(text: str) -> None:
    assert decide(EVERYTHING, ALICE, "orders", facts(text)).answer is Answer.ALLOW
