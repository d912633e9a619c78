"""The cheap test before the dear ones: it may see more than there is, and never less."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.mask.detect import in_run
from broker.mask.prefilter import Clean, Prefilter
from broker.mask.rules import DETECTORS
from broker.mask.runs import RUN
from tests.broker.mask.samples import CASES
from tests.broker.rows.both import PIECES

texts = st.lists(
    st.sampled_from([*PIECES, *(text for _, text, _ in CASES)]) | st.text(max_size=3), max_size=6
).map("".join)


@settings(max_examples=1500, deadline=None)
@given(texts)
def test_no_detector_finds_what_its_test_rules_out(text: str) -> None:
    for name in DETECTORS:
        if any(in_run(m.group(), {name}) for m in RUN.finditer(text)):
            assert Prefilter([name])(text.encode("utf-8", "surrogatepass")) == [name]


@pytest.mark.parametrize(
    "text",
    [
        b"2026-01-01 12:00:00.123456+00",
        b"0f343b0931126a20f133d67c2b018a3b",
        b"aa12345678901234567890",
        b"https://example.com/passengers?monkey=1",
        b"a4111111111111111",
        b"the basics of bearers",
        b"550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_is_common_and_innocent_costs_no_second_look(text: bytes) -> None:
    assert Prefilter(DETECTORS)(text) == []


def test_only_what_was_clean_is_remembered() -> None:
    clean = Clean(DETECTORS)
    assert clean(b"SELECT 1")
    assert clean(b"SELECT 1")
    assert not clean(b"a@b.example")
    assert not clean(b"a@b.example")
    assert clean._known == {b"SELECT 1"}
    for number in range(3000):
        assert clean(b"%d" % number)
    assert len(clean._known) <= 1024
    assert clean(b" " * 1000)
    assert b" " * 1000 not in clean._known
