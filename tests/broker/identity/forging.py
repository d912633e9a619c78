"""Certificates field by field, as an attacker (or a careless CA) would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh
from asyncssh.packet import String, UInt32, UInt64

from broker.identity.certificate import issue
from broker.identity.openssh import parse
from tests.broker.identity.samples import ssh_key

if TYPE_CHECKING:
    from datetime import datetime

    from broker.model import Identity


@dataclass(frozen=True)
class Forged:
    """What stands in a certificate; options are raw."""

    key_id: str
    principals: tuple[str, ...]
    after: int
    before: int
    extensions: bytes
    critical: bytes = b""
    kind: int = 1

    @classmethod
    def of(cls, identity: Identity, after: datetime, before: datetime) -> Forged:
        """The fields of a good certificate, to be changed."""
        ca = asyncssh.generate_private_key("ssh-ed25519")
        line = issue(ca, ca, identity, serial=1, not_before=after, not_after=before)
        good = parse(asyncssh.import_certificate(line))
        raw = b"".join(String(name) + String(value) for name, value in good.extensions.items())
        return cls(good.key_id, good.principals, good.valid_after, good.valid_before, raw)


def forge(
    ca: asyncssh.SSHKey,
    key: asyncssh.SSHKey,
    forged: Forged,
    *,
    claim: asyncssh.SSHKey | None = None,
    raw: bool = False,
) -> asyncssh.SSHCertificate:
    """Signed by `ca`, naming `claim` as the signer.

    Without `raw` it goes through asyncssh's own parser unless that checks more than we want.
    """
    algorithm = key.algorithm + b"-cert-v01@openssh.com"
    data = b"".join(
        (
            String(algorithm),
            String(b"n" * 32),
            key.convert_to_public().encode_ssh_public(),
            UInt64(1),
            UInt32(forged.kind),
            String(forged.key_id),
            String(b"".join(String(one) for one in forged.principals)),
            UInt64(forged.after),
            UInt64(forged.before),
            String(forged.critical),
            String(forged.extensions),
            String(b""),
            String((claim or ca).public_data),
        )
    )
    data += String(ca.sign(data, b"rsa-sha2-256" if ca.algorithm == b"ssh-rsa" else ca.algorithm))
    if raw or claim is not None:
        line = issue_any(key)
        line.public_data = data
        return line
    return asyncssh.public_key.decode_ssh_certificate(data)


def issue_any(key: asyncssh.SSHKey) -> asyncssh.SSHCertificate:
    """Some certificate object for this key, whose bytes are then replaced."""
    ca = asyncssh.generate_private_key("ssh-ed25519")
    return ca.generate_user_certificate(key, "x")


def security_key(kind: str) -> asyncssh.SSHKey:
    """The public half of a key in hardware: its format has an application beside the key."""
    if kind == "ed25519":
        name, curve, point = "sk-ssh-ed25519@openssh.com", b"", ssh_key().public_data[-32:]
    else:
        name, curve = "sk-ecdsa-sha2-nistp256@openssh.com", String("nistp256")
        point = ssh_key("ecdsa-sha2-nistp256").public_data[-65:]
    data = String(name) + curve + String(point) + String("ssh:")
    return asyncssh.public_key.decode_ssh_public_key(data)
