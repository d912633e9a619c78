"""The card of one request says who asks, and what their issuer proved besides."""

from __future__ import annotations

from tests.tui.fake_control import NOON, review
from tui.widgets.request import card


def test_kept_claims_have_a_line_of_their_own_below_who_asks() -> None:
    claims = (("ref", "refs/heads/main"), ("run_id", "77\nwho  alice"))
    lines = card(review(claims=claims), NOON, 80).plain.split("\n")
    assert lines[0].startswith(" who")
    assert lines[1].startswith(" claims  ref refs/heads/main   run_id 77")
    assert not lines[2].startswith(" who"), "no claim makes a line"


def test_without_claims_there_is_no_line() -> None:
    assert "claims" not in card(review(), NOON, 80).plain
