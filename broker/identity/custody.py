"""Where the key that signs user certificates may be kept; values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class InFile:
    """In a private key file, which must be there already."""

    path: Path


@dataclass(frozen=True, slots=True)
class InAgent:
    """In an ssh-agent, known by its fingerprint; without `socket`, SSH_AUTH_SOCK names it."""

    fingerprint: str
    socket: Path | None = None


Custody: TypeAlias = InFile | InAgent
