"""Keys, tokens and identities that the tests of this package share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import asyncssh
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from broker.identity.issuers import Issuer
from broker.model import Identity, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://id.example.com"
AUDIENCE = "interlock"

CORP = Issuer("corp", URL, AUDIENCE, Kind.HUMAN, "{email}", client_id="cli", groups_claim="groups")

ANN = Identity(
    name="ann@example.com",
    kind=Kind.HUMAN,
    issuer="corp",
    subject="u-1",
    groups=("dba", "repo:acme/x"),
    acting_for="bob@example.com",
    claims={"run_id": "42"},
)


def issuer(**changes: Any) -> Issuer:
    """CORP, changed."""
    return replace(CORP, **changes)


@cache
def private_key(algorithm: str) -> Any:
    """One key an algorithm, made once."""
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(65537, 2048)
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    return ed25519.Ed25519PrivateKey.generate()


def jwk(algorithm: str, kid: str = "k1", **more: object) -> dict[str, Any]:
    """The public part of that key."""
    public = private_key(algorithm).public_key()
    found = get_default_algorithms()[algorithm].to_jwk(public, as_dict=True)
    assert isinstance(found, dict)
    return found | {"kid": kid} | more


def claims(**changes: object) -> dict[str, object]:
    """What a good token says; None leaves a claim out."""
    moment = int(NOW.timestamp())
    said: dict[str, object] = {
        "iss": URL,
        "aud": AUDIENCE,
        "sub": "u-1",
        "iat": moment,
        "exp": moment + 300,
        "email": "ann@example.com",
        "groups": ["dba"],
    }
    return {key: value for key, value in (said | changes).items() if value is not None}


def token(
    said: Mapping[str, object] | None = None,
    algorithm: str = "ES256",
    headers: Mapping[str, object] | None = None,
) -> str:
    """A signed token."""
    payload = claims() if said is None else dict(said)
    head = {"kid": "k1"} if headers is None else dict(headers)
    return jwt.encode(payload, private_key(algorithm), algorithm, headers=head)


@cache
def ssh_key(algorithm: str = "ssh-ed25519", name: str = "") -> asyncssh.SSHKey:
    """One SSH key for each algorithm and name."""
    return asyncssh.generate_private_key(algorithm, comment=name)
