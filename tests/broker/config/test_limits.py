"""Who may lock, and how many of what there may be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from broker.config.model import STORE_GRACE, Limits
from tests.broker.config.samples import DESIGN, loaded, refused

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_word_there_are_limits(tmp_path: Path) -> None:
    config = loaded(tmp_path, DESIGN)
    assert config.admins == ("group:admins",)
    assert config.idle_timeout == timedelta(minutes=30)
    assert config.limits == Limits()


def test_what_is_written_holds_and_the_rest_is_as_before(tmp_path: Path) -> None:
    text = DESIGN + 'admins: ["group:ops"]\nidle_timeout: 0s\nlimits: {sessions: 7}\n'
    config = loaded(tmp_path, text)
    assert config.admins == ("group:ops",)
    assert config.idle_timeout == timedelta()
    assert config.limits == Limits(sessions=7)


@pytest.mark.parametrize(
    ("text", "grace"),
    [
        ("", STORE_GRACE),
        ("on_store_loss: end", STORE_GRACE),
        ("on_store_loss: keep", None),
        ("on_store_loss: {end_after: 0s}", timedelta()),
        ("on_store_loss: {end_after: 1m}", timedelta(minutes=1)),
    ],
)
def test_what_becomes_of_sessions_without_the_store(
    tmp_path: Path, text: str, grace: timedelta | None
) -> None:
    assert loaded(tmp_path, f"{DESIGN}{text}\n").on_store_loss == grace


@pytest.mark.parametrize(
    "text",
    [
        "on_store_loss: stop",
        "on_store_loss: {}",
        "on_store_loss: {end_after: 2h}",
        "on_store_loss: true",
        "limits: {session: 7}",
        "limits: {sessions: 0}",
        "limits: {logins_per_source: many}",
        "limits: 7",
        "idle_timeout: 30",
        'admins: ["group:"]',
        "admins: ops",
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    assert len(refused(tmp_path, DESIGN + text + "\n")) == 1
