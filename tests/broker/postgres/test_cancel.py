from __future__ import annotations

from broker.postgres.cancel import Cancels
from tests.fakes import ALICE, BOB


async def test_a_key_works_for_its_identity_until_the_session_ends() -> None:
    cancels, acted = Cancels(), []

    async def act() -> None:
        acted.append(1)

    key = cancels.register(ALICE, act)
    assert len(key) == 8
    assert 0 < int.from_bytes(key[:4], "big") < 2**31
    assert await cancels.cancel(key, ALICE)
    assert not await cancels.cancel(key, BOB)
    assert not await cancels.cancel(key[:4], ALICE)
    cancels.remove(key)
    assert not await cancels.cancel(key, ALICE)
    assert acted == [1]
