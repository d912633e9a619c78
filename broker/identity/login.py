"""A token in, an identity and its time out: the steps of a login in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from broker.errors import IdentityRefused
from broker.identity import tokens
from broker.identity.claims import identity_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from broker.identity.issuers import Issuer
    from broker.identity.tokens import Jwk
    from broker.model import Identity
    from broker.ports import Clock

REMEMBERED = 100_000  # tokens in memory; more logins than this in one token's life are refused


class Keys(Protocol):
    """Where an issuer's public keys come from."""

    async def keys_for(self, issuer: Issuer, kid: str | None) -> Mapping[str, Jwk]:
        """The issuer's keys by key id; looks again when it does not know `kid`."""


class UsedTokens(Protocol):
    """Remembers which tokens were used; a store can do so across restarts and nodes."""

    def use(self, token: str, until: float, now: datetime) -> bool:
        """Mark as used until that Unix time; False when it was already, or cannot be marked."""


class UsedInMemory:
    """`UsedTokens` for one process: forgets what has expired, refuses when it is full."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._used: dict[str, float] = {}

    def use(self, token: str, until: float, now: datetime) -> bool:
        """Mark as used; False when it was already, or when there is no room to remember it."""
        if token in self._used:
            return False
        if len(self._used) >= self._limit:
            moment = now.timestamp()
            self._used = {key: end for key, end in self._used.items() if end > moment}
        if len(self._used) >= self._limit:
            return False
        self._used[token] = until
        return True


class Login:
    """Exchanges ID tokens of the configured issuers for identities."""

    def __init__(
        self, issuers: Sequence[Issuer], keys: Keys, used: UsedTokens, clock: Clock
    ) -> None:
        self._issuers = issuers
        self._keys = keys
        self._used = used
        self._clock = clock

    async def exchange(self, token: str, fingerprint: str = "") -> tuple[Identity, timedelta]:
        """The identity of a token and how long a certificate for it may last.

        `fingerprint` is of the key that authenticated. Raises IdentityRefused, or TryLater when
        the issuer's keys cannot be had. A token is used up only when all else was right.
        """
        token = token.strip()
        try:
            issuer, claims = await self._proven(token)
        except IdentityRefused as refused:
            refused.claimed = tokens.claimed(token)
            raise
        try:
            return self._identity(token, issuer, claims, fingerprint), issuer.ttl
        except IdentityRefused as refused:
            refused.issuer, refused.subject = issuer.name, tokens.subject(claims)
            raise

    async def _proven(self, token: str) -> tuple[Issuer, Mapping[str, Any]]:
        """Whose key signed it; what the claims say is not looked at yet."""
        seen = tokens.peek(token)
        issuer = tokens.choose(seen, self._issuers)
        return issuer, tokens.signed(token, await self._keys.keys_for(issuer, seen.kid))

    def _identity(
        self, token: str, issuer: Issuer, claims: Mapping[str, Any], fingerprint: str
    ) -> Identity:
        now = self._clock()
        tokens.checked(claims, issuer, now)
        identity = identity_from(issuer, claims, fingerprint=fingerprint)
        once = tokens.one_use(token, issuer, claims)
        if not self._used.use(once, tokens.last_moment(issuer, claims), now):
            msg = "the token was used already; get a new one"
            raise IdentityRefused(msg)
        return identity
