"""The whole configuration as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from broker.mask.rules import Masking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from broker.identity.custody import Custody
    from broker.identity.issuers import Issuer
    from broker.policy.rules import Rule
    from broker.targets import Target


STORE_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Example:
    """A statement kept beside the rules with the verdict it must get (`interlock test`)."""

    statement: str
    target: str
    who: tuple[str, ...]
    verdict: str
    rule: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How many at once of each, and how many logins a minute from one address."""

    sessions: int = 1000
    sessions_per_identity: int = 50
    connections: int = 2000
    connections_per_identity: int = 100
    logins_per_source: int = 300


@dataclass(frozen=True, slots=True)
class Config:
    """`hash` is the SHA-256 (hex) of the file's bytes; it is in every verdict.

    `user_ca` is None when the key is where it always is, in `state/keys`; `trusted_user_cas` are
    files with the public keys of earlier CAs, whose certificates are still accepted.
    `auditors` may list and play every session; others see their own, and approvers those of the
    targets that they answer for. `admins` may lock and end. `idle_timeout` is of interactive
    sessions; zero is none. `on_store_loss` is how long sessions go on without the store; None is
    for as long as they last.
    """

    file: Path
    hash: str
    host: str
    port: int
    state: Path
    store: str = field(repr=False)  # a dsn may hold a password
    issuers: tuple[Issuer, ...]
    targets: Mapping[str, Target]
    rules: tuple[Rule, ...]
    masking: Masking = field(default_factory=Masking)
    user_ca: Custody | None = None
    trusted_user_cas: tuple[Path, ...] = ()
    auditors: tuple[str, ...] = ("group:auditors",)
    admins: tuple[str, ...] = ("group:admins",)
    session_ttl: timedelta = timedelta(hours=8)
    idle_timeout: timedelta = timedelta(minutes=30)
    limits: Limits = field(default_factory=Limits)
    drain: timedelta = timedelta(seconds=10)
    on_store_loss: timedelta | None = STORE_GRACE
    log: str = "text"
    examples: tuple[Example, ...] = ()
