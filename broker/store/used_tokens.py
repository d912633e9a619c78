"""Which ID tokens were used, across restarts: digests alone, each until its token has expired."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

REMEMBERED = 100_000  # more logins than this in one token's life are refused
BUSY_S = 5.0

FORGET = "DELETE FROM used_tokens WHERE until <= ?"
REMEMBER = (
    "INSERT INTO used_tokens (digest, until) SELECT ?1, ?2"
    " WHERE (SELECT count(*) FROM used_tokens) < ?3 ON CONFLICT DO NOTHING"
)


class UsedInStore:
    """Implements `identity.login.UsedTokens` over the file of a `Store`.

    The uniqueness of the digest decides, so that of two processes with one token one is refused.
    """

    def __init__(self, connection: sqlite3.Connection, limit: int = REMEMBERED) -> None:
        self._db = connection
        self._limit = limit

    @classmethod
    def open(cls, path: Path, limit: int = REMEMBERED) -> UsedInStore:
        """Over a file that `Store.open` has made and brought up to date."""
        address = f"{path.absolute().as_uri()}?mode=rw"
        try:
            db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_S)
            db.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise _failure(error) from error
        return cls(db, limit)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def use(self, token: str, until: float, now: datetime) -> bool:
        """Mark as used until that Unix time; False when it was already, or there is no room."""
        digest = hashlib.sha256(token.encode()).digest()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute(FORGET, (now.timestamp(),))
                added = self._db.execute(REMEMBER, (digest, until, self._limit)).rowcount
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _failure(error) from error
        return added == 1


def _failure(error: sqlite3.Error) -> EvidenceFailure:
    return EvidenceFailure(f"the store cannot be used: {error}")
