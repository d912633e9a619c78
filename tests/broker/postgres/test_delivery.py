"""What psql says about our own refusals is dropped when they are told as JSON."""

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
    b"NOTICE:  interlock: waiting for approval\n"
    b"no line end"
)
LEFT = b"NOTICE:  one\nERROR:  column does not exist\nLINE 1: select x;\nno line end"


@given(st.lists(st.integers(0, len(PSQL)), max_size=6))
def test_only_our_own_refusals_are_dropped_however_they_arrive(cuts: list[int]) -> None:
    edges = sorted({0, len(PSQL), *cuts})
    found = RefusalFilter()
    pieces = [found.feed(PSQL[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) + found.close() == LEFT
