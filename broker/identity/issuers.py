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
    """One `issuers:` entry; `user`, `groups`, `acting_for` are templates: ``{email}``."""

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
    pin_source: bool = False
