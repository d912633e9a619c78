"""What psql says about our refusals and waits is dropped: the gate tells them."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from broker.postgres.delivery import RefusalFilter

PSQL = (
    b"NOTICE:  one\n"
    b"ERROR:  interlock: denied by no-ddl: not here\n"
    b"LINE 1: drop table x;\n"
    b"        ^\n"
    b"DETAIL:  more\n"
    b"ERROR:  column does not exist\n"
    b"LINE 1: select x;\n"
    b"NOTICE:  interlock: waiting for approval (writes), review 7f3a: asking bob\n"
    b"ERROR:  interlock: more than 10 rows\n"
    b"no line end"
)
LEFT = b"NOTICE:  one\nERROR:  column does not exist\nLINE 1: select x;\n"
LEFT += b"ERROR:  interlock: more than 10 rows\nno line end"


@given(st.lists(st.integers(0, len(PSQL)), max_size=6))
def test_only_our_own_refusals_are_dropped_however_they_arrive(cuts: list[int]) -> None:
    edges = sorted({0, len(PSQL), *cuts})
    found = RefusalFilter()
    pieces = [found.feed(PSQL[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) + found.close() == LEFT
