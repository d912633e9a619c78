"""The lemma that the stream rests on: a run that has ended is the same whatever follows."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.mask.runs import RUN, has_ended
from tests.broker.mask.samples import CASES

PARTS = st.sampled_from(
    [*"aZ1 \t4@.-+()'\"\\:=/>\n,", "pass", "word", "token", "--", "ABCD", "DE89", "bearer", "it''s",
     "-----BEGIN", " RSA", "://", '\\"', "      "]
) | st.sampled_from([text for _, text, _ in CASES])  # fmt: skip


@given(st.lists(PARTS, max_size=15).map("".join))
@example("'password' => 'it''s'")
@example('token\\\\"x')
@example("password = x")
@example('"password"  : "x y" z')
@settings(max_examples=200, deadline=None)
def test_a_run_that_ended_is_a_run_of_every_longer_text(text: str) -> None:
    whole = [m.span() for m in RUN.finditer(text)]
    for size in range(len(text)):
        for m in RUN.finditer(text[:size]):
            if not has_ended(text[:size], m.end()):
                break
            assert m.span() in whole


@given(st.lists(PARTS, max_size=15).map("".join))
@settings(max_examples=100, deadline=None)
def test_a_run_stays_on_its_line(text: str) -> None:
    assert all("\n" not in m.group() for m in RUN.finditer(text))
