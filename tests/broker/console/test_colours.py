"""Colours never change the text, and cost little."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.console.colours import LIMIT, sql


def styles(text: str) -> dict[str, str]:
    return {piece: style for line in sql(text) for style, piece in line if style}


def test_what_is_what() -> None:
    found = styles("SELECT a, 'x' FROM t WHERE n = 12 -- why")
    assert found["SELECT"] == found["FROM"] == found["WHERE"] == "class:keyword"
    assert found["'x'"] == "class:string"
    assert found["12"] == "class:number"
    assert found["-- why"] == "class:comment"
    assert "a" not in found


@given(st.text(alphabet=st.sampled_from("ab 1'$\"/*-\n\\;é日"), max_size=60))
def test_the_text_stays(text: str) -> None:
    assert "\n".join("".join(piece for _, piece in line) for line in sql(text)) == text


@pytest.mark.parametrize("hostile", ["'", "/*", "$a$", "$", "a$", "1.", "\\", '"', "\n"])
def test_no_text_takes_long(hostile: str) -> None:
    text = (hostile * LIMIT)[:LIMIT]
    before = time.process_time()
    sql(text)
    assert time.process_time() - before < 0.5
