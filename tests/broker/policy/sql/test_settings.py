"""Settings that anybody may make, and all the others."""

from __future__ import annotations

import pytest

from tests.broker.policy.sql.spoken import parts


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
        "SET search_path = private",
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
