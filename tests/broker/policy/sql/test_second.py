"""The second opinion: what it says, and why it is not a verdict."""

from __future__ import annotations

import pytest

from broker.policy.sql import read, second


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 1;", "SELECT 1; SELECT 2;", "-- x\nSELECT 1"])
def test_agreement_is_silent(text: str) -> None:
    assert second.doubt(text, read(text).count) == ""


def test_a_hidden_statement_is_pointed_out() -> None:
    text = r"SELECT '\'; DELETE FROM users; --'"
    assert second.doubt(text, read(text).count).startswith("PostgreSQL reads 2 statement(s) here")


def test_why_it_does_not_refuse_it_misreads_nested_comments() -> None:
    text = "SELECT 1 /* outer /* inner */ ; DELETE FROM users */"
    assert read(text).count == 1
    assert second.count(text) == 2


def test_long_text_is_not_given_to_it() -> None:
    assert second.count("SELECT 1;" * 5000) is None
