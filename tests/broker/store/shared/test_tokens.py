"""Used tokens in the shared store: bounded, forgotten in time, never kept themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from broker.store.shared.link import Link
from broker.store.shared.schema import migrate
from broker.store.shared.tokens import SharedTokens
from tests.fakes import NOON

if TYPE_CHECKING:
    from contextlib import ExitStack

END = NOON.timestamp() + 60


def test_full_means_no_until_there_is_room_again(shared_dsn: str, stack: ExitStack) -> None:
    link = Link(shared_dsn)
    link.open(migrate)
    stack.callback(link.close)
    used = SharedTokens(link, limit=2)
    assert used.use("a-token-that-nobody-may-see", END, NOON)
    assert used.use("b", END, NOON)
    assert not used.use("c", END, NOON)
    assert not used.use("a-token-that-nobody-may-see", END, NOON)
    assert "nobody" not in str(link.run("SELECT * FROM used_tokens"))
    assert used.use("c", END + 60, NOON + timedelta(seconds=60))
    assert len(link.run("SELECT * FROM used_tokens")) == 1
