"""An OIDC provider we trust, as configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.model import Kind


@dataclass(frozen=True, slots=True)
class Issuer:
    """One `issuers:` entry; `user`, `groups`, `acting_for` are templates: ``{email}``.

    `keys_life` is how long keys that were fetched go on to count while the issuer is down.
    """

    name: str
    issuer: str
    audience: str
    kind: Kind
    user: str
    client_id: str | None = None
    groups: tuple[str, ...] = ()
    groups_claim: str | None = None
    acting_for: str | None = None
    require: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    ttl: timedelta = timedelta(minutes=15)
    skew: timedelta = timedelta(seconds=30)
    keys_life: timedelta = timedelta(hours=1)
    pin_source: bool = False

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom a token may be meant for: us, or our client, to which a device login's is given."""
        return (self.audience,) if self.client_id is None else (self.audience, self.client_id)
