"""Who stands at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import Denied, EvidenceFailure, TryLater

if TYPE_CHECKING:
    import asyncssh

    from broker.model import Identity

LOGIN = "login"  # the user name that takes plain keys


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who stands at the door: the user name they gave, and what they proved.

    `surplus` says over which limit they are, to be told and sent away; `fault` that their coming
    could not be written into the audit log.
    """

    user: str
    source: str
    identity: Identity | None = None
    key: asyncssh.SSHKey | None = None
    surplus: str = ""
    fault: str = ""

    def check(self) -> None:
        """Raises when they may do nothing: EvidenceFailure or TryLater."""
        if self.fault:
            raise EvidenceFailure(self.fault)
        if self.surplus:
            raise TryLater(self.surplus)


def proven(visitor: Visitor) -> Identity:
    """The identity behind the certificate. Raises Denied for a plain key."""
    if visitor.identity is None:
        msg = "a certificate is needed here; get one with: ssh login@THIS-HOST < id-token"
        raise Denied(msg)
    return visitor.identity
