"""What a session makes is kept in mind, and only ever grows."""

from __future__ import annotations

import pytest

from broker.errors import Unparsable
from broker.policy.sql import read
from broker.policy.sql.catalogue import MAX_MADE, Catalogue, Overlay, Routine
from broker.policy.sql.resolve import resolve


@pytest.mark.parametrize(
    ("routine", "computes"),
    [
        (Routine("c", "i"), True),
        (Routine("internal", "i"), True),
        (Routine("c", "s"), False),
        (Routine("c", "i", definer=True), False),
        (Routine("c", "i", open=False), False),
        (Routine("plpgsql", "i"), False),
        (Routine("aggregate", "i"), False),
    ],
)
def test_only_compiled_code_that_was_declared_so_is_believed(
    routine: Routine, computes: bool
) -> None:
    assert routine.computes is computes


def test_the_version_tells_apart_what_sessions_made() -> None:
    one, other = Overlay(), Overlay()
    assert one.version == other.version
    before = one.version
    for overlay in (one, other):
        overlay.note(read("CREATE VIEW v AS TABLE a").made)
    assert len({before, one.version, other.version}) == 3
    same = one.version
    one.note(read("CREATE VIEW v AS TABLE a").made)
    assert one.version == same


def test_a_session_that_makes_too_much_is_stopped() -> None:
    overlay = Overlay()
    for number in range(MAX_MADE + 1):
        overlay.note(read(f"CREATE TABLE t{number} (a int)").made)
    with pytest.raises(Unparsable, match="begin another"):
        resolve(read("SELECT 1"), Catalogue(), overlay)
