"""Verifies an ID token: which issuer it names, whose key signed it, for whom, and when; pure.

The order matters: the token is bounded and taken apart first, the issuer is chosen by its `iss`
and `aud` before any key is looked at, and only then is the signature checked, with a key of the
one type that its algorithm takes. No sentence of a refusal holds the token or a part of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import jwt

from broker.errors import IdentityRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from broker.identity.issuers import Issuer

Jwk: TypeAlias = "Mapping[str, Any]"

TOKEN_LIMIT = 16 * 1024
KID_LIMIT = 200
LAST_TIME = 1e11  # the year 5138: nothing later is a time that someone meant

ALGORITHMS: Mapping[str, tuple[str, str | None]] = {  # what each takes: key type, and curve
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}

PLAIN_TYPES = ("JWT", "JOSE")  # SPIFFE allows the second; an access token says at+jwt

CLAIM_SHOWN = 200  # characters of a claim that is not proven, in the audit log
TOKEN_MARK = "eyJ"  # noqa: S105 - how the base64 of a JSON object begins

NOT_A_TOKEN = "this is not an ID token"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Peek:
    """What a token says of itself before anything is verified; good for choosing, not trusting."""

    algorithm: str
    kid: str | None
    issuer: str
    audiences: tuple[str, ...]


def peek(token: str) -> Peek:
    """Take a token apart without trusting it."""
    if len(token) > TOKEN_LIMIT:
        msg = f"the token is longer than {TOKEN_LIMIT} bytes"
        raise IdentityRefused(msg)
    if not token.isascii() or token.count(".") != 2:  # header.claims.signature
        raise IdentityRefused(NOT_A_TOKEN)
    header, claims = (_part(part) for part in token.split(".")[:2])
    return Peek(_algorithm(header), _kid(header), _issuer(claims), _audiences(claims))


def claimed(token: str) -> Mapping[str, str]:
    """Who a token says that it is from and about: unproven, bounded, for the audit log alone."""
    try:
        seen = _part(token.split(".")[1]) if len(token) <= TOKEN_LIMIT else {}
    except (IdentityRefused, IndexError):
        return {}
    said = {name: seen.get(name) for name in ("iss", "sub")}
    return {name: _shown(value) for name, value in said.items() if isinstance(value, str)}


def _shown(value: str) -> str:
    """No token may get into the log, not even one that was put into a claim of another."""
    if TOKEN_MARK in value:
        return "(left out: it may be a token)"
    return "".join(char if char.isprintable() else "?" for char in value[:CLAIM_SHOWN])


def choose(token: Peek, issuers: Sequence[Issuer]) -> Issuer:
    """The one configured issuer that a token is from and meant for."""
    same = [issuer for issuer in issuers if issuer.issuer == token.issuer]
    if not same:
        msg = "the token is from an issuer that is not configured here"
        raise IdentityRefused(msg)
    meant = next(
        (issuer for issuer in same if not set(token.audiences).isdisjoint(issuer.audiences)), None
    )
    if meant is None:
        raise IdentityRefused(_wrong_audience(same[0]))
    return meant


def verify(token: str, issuer: Issuer, keys: Mapping[str, Jwk], now: datetime) -> Mapping[str, Any]:
    """The claims of a token that this issuer signed for us and that is valid now."""
    return checked(signed(token, keys), issuer, now)


def signed(token: str, keys: Mapping[str, Jwk]) -> Mapping[str, Any]:
    """The claims of a token that one of these keys signed; nothing about them is checked."""
    seen = peek(token)
    return _signed_claims(token, seen, _key(seen, keys))


def checked(claims: Mapping[str, Any], issuer: Issuer, now: datetime) -> Mapping[str, Any]:
    """Are signed claims from this issuer, for us, and valid now?"""
    if claims.get("iss") != issuer.issuer:
        msg = f"the token is not from the issuer {issuer.name}"
        raise IdentityRefused(msg)
    _check_audience(claims, issuer)
    _check_times(claims, issuer, now)
    return claims


def one_use(token: str, issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """What may be used once: the token's `jti`, or else the digest of what was signed."""
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        jti = hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest()
    return hashlib.sha256(json.dumps([issuer.issuer, jti]).encode()).hexdigest()


def subject(claims: Mapping[str, Any]) -> str | None:
    """Whom verified claims are about, as short as the audit log wants it."""
    sub = claims.get("sub")
    return _shown(sub) if isinstance(sub, str) else None


def last_moment(issuer: Issuer, claims: Mapping[str, Any]) -> float:
    """When a verified token stops being accepted, as a Unix time."""
    return _time(claims, "exp") + issuer.skew.total_seconds()


# -- taking apart ------------------------------------------------------------------------------


def _part(text: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise IdentityRefused(NOT_A_TOKEN) from None
    if not isinstance(value, dict):
        raise IdentityRefused(NOT_A_TOKEN)
    return value


def _algorithm(header: Mapping[str, Any]) -> str:
    """Never `none`, never a shared secret; and no kind of token but a plain one."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        msg = f"the token's algorithm is not one of {', '.join(ALGORITHMS)}"
        raise IdentityRefused(msg)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() not in PLAIN_TYPES:
        msg = "this is a token of another kind (its typ is not JWT); send the ID token"
        raise IdentityRefused(msg)
    return algorithm


def _kid(header: Mapping[str, Any]) -> str | None:
    kid = header.get("kid")
    if kid is None:
        return None
    if not isinstance(kid, str) or len(kid) > KID_LIMIT:
        msg = "the token's key id is not a short text"
        raise IdentityRefused(msg)
    return kid


def _issuer(claims: Mapping[str, Any]) -> str:
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        msg = "the token does not say who issued it (iss)"
        raise IdentityRefused(msg)
    return issuer


def _audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if not several or not all(isinstance(one, str) for one in several):
        msg = "the token does not say whom it is for (aud)"
        raise IdentityRefused(msg)
    return tuple(several)


# -- whose key ---------------------------------------------------------------------------------


def _key(seen: Peek, keys: Mapping[str, Jwk]) -> jwt.PyJWK:
    """The one key that may have signed: by its id, or the only one that fits."""
    fitting = [jwk for jwk in keys.values() if _fits(seen.algorithm, jwk)]
    if seen.kid is not None:
        named = keys.get(seen.kid)
        fitting = [named] if named is not None and _fits(seen.algorithm, named) else []
    if len(fitting) != 1:
        msg = "the issuer has no key that fits the token's key id and algorithm"
        raise IdentityRefused(msg)
    try:
        return jwt.PyJWK(dict(fitting[0]), algorithm=seen.algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        msg = "the issuer's key for this token cannot be read"
        raise IdentityRefused(msg) from None


def _fits(algorithm: str, jwk: Jwk) -> bool:
    """Is the key of the algorithm's type and curve, and not meant for something else?"""
    kind, curve = ALGORITHMS[algorithm]
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") == kind
        and (curve is None or jwk.get("crv") == curve)
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
    )


def _signed_claims(token: str, seen: Peek, key: jwt.PyJWK) -> Mapping[str, Any]:
    """Only the signature is PyJWT's to check: the claims are checked here, against our clock."""
    unchecked = dict.fromkeys(("exp", "nbf", "iat", "aud", "iss", "sub", "jti"), False)
    options: Any = {f"verify_{claim}": check for claim, check in unchecked.items()}
    options |= {"verify_signature": True, "enforce_minimum_key_length": True}
    try:
        return jwt.decode(token, key, algorithms=[seen.algorithm], options=options)
    except jwt.InvalidKeyError:
        msg = "the issuer's key for this token is too weak or of the wrong kind"
    except jwt.InvalidSignatureError:
        msg = "the token's signature is wrong"
    except (jwt.PyJWTError, ValueError, TypeError):
        msg = NOT_A_TOKEN
    raise IdentityRefused(msg)


# -- for whom, and when ------------------------------------------------------------------------


def _check_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    audiences = _audiences(claims)
    if set(audiences).isdisjoint(issuer.audiences):
        raise IdentityRefused(_wrong_audience(issuer))
    party = claims.get("azp")
    asked_by_us = party is not None and party in (issuer.audience, issuer.client_id)
    if len(audiences) > 1 and not asked_by_us:
        msg = "the token is for several audiences and was not asked for by us (azp)"
        raise IdentityRefused(msg)
    if issuer.client_id is not None and party is not None and not asked_by_us:
        msg = "the token was asked for by another client than ours (azp)"
        raise IdentityRefused(msg)


def _check_times(claims: Mapping[str, Any], issuer: Issuer, now: datetime) -> None:
    moment, skew = now.timestamp(), issuer.skew.total_seconds()
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if moment >= expires + skew:
        msg = "the token has expired; get a new one"
    elif issued > moment + skew:
        msg = "the token was issued in the future (iat); is a clock wrong?"
    elif "nbf" in claims and _time(claims, "nbf") > moment + skew:
        msg = "the token is not valid yet (nbf)"
    else:
        return
    raise IdentityRefused(msg)


def _time(claims: Mapping[str, Any], claim: str) -> float:
    value = claims.get(claim)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LAST_TIME:
        return float(value)
    msg = f"the token has no valid time in its claim {claim}"
    raise IdentityRefused(msg)


def _wrong_audience(issuer: Issuer) -> str:
    return f"the token is not meant for us (aud): ask the issuer for audience {issuer.audience}"
