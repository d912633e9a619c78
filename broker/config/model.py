"""The whole configuration as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from broker.mask.rules import Masking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from broker.identity.issuers import Issuer
    from broker.policy.rules import Rule
    from broker.targets import Target


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
class Config:
    """`hash` is the SHA-256 (hex) of the file's bytes; it is in every verdict.

    `auditors` may list and play every session; others see their own, and approvers those of the
    targets that they answer for.
    """

    file: Path
    hash: str
    host: str
    port: int
    state: Path
    store: str
    issuers: tuple[Issuer, ...]
    targets: Mapping[str, Target]
    rules: tuple[Rule, ...]
    masking: Masking = field(default_factory=Masking)
    auditors: tuple[str, ...] = ("group:auditors",)
    session_ttl: timedelta = timedelta(hours=8)
    drain: timedelta = timedelta(seconds=10)
    log: str = "text"
    examples: tuple[Example, ...] = ()
