"""The key table: every key does something, nothing is bound twice, and `y` is bound once."""

from __future__ import annotations

from collections import Counter

import pytest

from tui import keys
from tui.app import ApprovalsApp
from tui.screens.approvals import Approvals
from tui.screens.confirm import Confirm, Refuse
from tui.screens.help import Help
from tui.screens.replay import Replay
from tui.screens.sessions import Sessions

SCREENS = {
    keys.APPROVALS: Approvals,
    keys.SESSIONS: Sessions,
    keys.REPLAY: Replay,
    keys.CONFIRM: Confirm,
    keys.REFUSE: Refuse,
    keys.HELP: Help,
}


@pytest.mark.parametrize("where", SCREENS)
def test_no_key_is_bound_twice_on_a_screen(where: str) -> None:
    bound = Counter(one for key in keys.KEYS if where in key.where for one in key.key.split(","))
    assert set(bound.values()) == {1}


@pytest.mark.parametrize("where", SCREENS)
def test_every_key_has_an_action(where: str) -> None:
    for key in keys.KEYS:
        if where in key.where:
            owner, _, action = key.action.split("(")[0].rpartition(".")
            assert hasattr(ApprovalsApp if owner == "app" else SCREENS[where], f"action_{action}")


def test_yes_is_another_key_than_the_one_that_asks_and_means_nothing_elsewhere() -> None:
    assert [key.where for key in keys.KEYS if "y" in key.key.split(",")] == [(keys.CONFIRM,)]
    assert not any(keys.CONFIRM in key.where for key in keys.KEYS if "a" in key.key.split(","))
