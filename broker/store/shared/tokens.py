"""Which ID tokens were used, at any node: digests alone, each until its token has expired."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from broker.store.used_tokens import REMEMBERED

if TYPE_CHECKING:
    from datetime import datetime

    from broker.store.shared.link import Link

FORGET = "DELETE FROM used_tokens WHERE until <= %s"
REMEMBER = (
    "INSERT INTO used_tokens (digest, until) SELECT %s, %s"
    " WHERE (SELECT count(*) FROM used_tokens) < %s ON CONFLICT DO NOTHING RETURNING until"
)


class SharedTokens:
    """Implements `identity.login.UsedTokens`: the uniqueness of the digest decides."""

    def __init__(self, link: Link, limit: int = REMEMBERED) -> None:
        self._link = link
        self._limit = limit

    def use(self, token: str, until: float, now: datetime) -> bool:
        """Mark as used until that Unix time; False when it was already, or there is no room."""
        digest = hashlib.sha256(token.encode()).digest()
        self._link.run(FORGET, (now.timestamp(),))
        return bool(self._link.run(REMEMBER, (digest, until, self._limit)))
