"""A user certificate carries its whole identity: makes one from an Identity, reads one back.

The extension ``interlock@`` holds one JSON object; the key id and the principals say the same
once more, for other programs and for logs, and must agree with it. Host certificates and the ones
for a single session on an ssh target are made here, too.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from broker.errors import IdentityRefused
from broker.identity import openssh
from broker.identity.claims import GROUP_LIMIT, checked_name, is_safe
from broker.identity.openssh import EXTENSION, Terms
from broker.model import Identity, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncssh import SSHCertificate, SSHKey

    from broker.identity.openssh import Contents, Signer

SKEW = timedelta(seconds=30)  # certificates begin this much earlier: clocks differ
LONGEST = timedelta(hours=24)
TARGET_LIFE = timedelta(minutes=5)
KEY_ID_SHOWN = 200  # characters of a key id that is not proven, in the audit log
EXTENSION_LIMIT = 64 * 1024
SOURCE = "source-address"


def new_serial() -> int:
    """A serial that no other certificate has: 63 random bits, never 0."""
    return secrets.randbits(63) or 1


# -- making ------------------------------------------------------------------------------------


def issue(
    ca: Signer,
    public_key: SSHKey,
    identity: Identity,
    *,
    serial: int,
    not_before: datetime,
    not_after: datetime,
    source_address: str | None = None,
) -> bytes:
    """A user certificate for exactly this key: one OpenSSH line. It begins 30 s early."""
    if not timedelta() < not_after - not_before <= LONGEST:
        msg = f"a certificate is valid for at most {LONGEST}"
        raise ValueError(msg)
    openssh.check_key(public_key)
    options: dict[str, object] = {
        EXTENSION: _written(identity),
        "permit-port-forwarding": True,
        "permit-pty": True,
    }
    if source_address is not None:
        options[SOURCE] = [ipaddress.ip_network(_address(source_address))]
    terms = Terms(
        kind=openssh.USER,
        serial=serial,
        key_id=str(identity),
        principals=identity.principals,
        valid_after=int((not_before - SKEW).timestamp()),
        valid_before=int(not_after.timestamp()),
        options=options,
    )
    return openssh.sign(ca, public_key, terms)


def issue_host(
    ca: SSHKey,
    host_key: SSHKey,
    *,
    serial: int,
    not_before: datetime,
    not_after: datetime,
    names: Sequence[str],
) -> bytes:
    """A host certificate for these names."""
    terms = Terms(
        kind=openssh.HOST,
        serial=serial,
        key_id="interlock host key",
        principals=names,
        valid_after=int(not_before.timestamp()),
        valid_before=int(not_after.timestamp()),
    )
    return openssh.sign(ca, host_key, terms)


def issue_target(
    ca: SSHKey,
    public_key: SSHKey,
    *,
    user: str,
    identity: Identity,
    session: str,
    serial: int,
    now: datetime,
    sources: Sequence[str] = (),
) -> bytes:
    """A certificate for one session on an ssh target; its key id names the person and session.

    It is good from these addresses and networks only, when there are any.
    """
    behind = "" if identity.acting_for is None else f" for {identity.acting_for}"
    options: dict[str, object] = {"permit-pty": True}
    if sources:
        options[SOURCE] = [ipaddress.ip_network(_network(source)) for source in sources]
    terms = Terms(
        kind=openssh.USER,
        serial=serial,
        key_id=f"interlock {identity}{behind} session {session}",
        principals=(user,),
        valid_after=int((now - SKEW).timestamp()),
        valid_before=int((now + TARGET_LIFE).timestamp()),
        options=options,
    )
    return openssh.sign(ca, public_key, terms)


def _written(identity: Identity) -> str:
    fields = {
        "subject": identity.subject,
        "issuer": identity.issuer,
        "kind": identity.kind.value,
        "name": identity.name,
        "groups": list(identity.groups),
        "acting_for": identity.acting_for,
        "claims": dict(identity.claims),
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    if len(text) > EXTENSION_LIMIT:
        msg = "the groups and kept claims are too long for a certificate; keep fewer of them"
        raise IdentityRefused(msg)
    return text


# -- reading -----------------------------------------------------------------------------------


def read(
    cert: SSHCertificate, ca_public_keys: Sequence[SSHKey], now: datetime, source_ip: str | None
) -> Identity:
    """The identity in a certificate of ours that is good now and here, or IdentityRefused.

    It does not prove that the client holds the key: the caller has checked a signature by it.
    """
    try:
        contents = openssh.parse(cert)
    except ValueError:
        msg = "the certificate is malformed"
        raise IdentityRefused(msg) from None
    try:
        openssh.check_signer(contents, ca_public_keys)
    except IdentityRefused as refused:
        refused.claimed = {"key_id": _shown(contents.key_id), "serial": str(contents.serial)}
        raise
    try:
        return _good_here(contents, cert.key, now, source_ip)
    except IdentityRefused as refused:
        refused.serial = contents.serial
        with suppress(IdentityRefused):
            identity = _identity(contents, cert.key)
            refused.issuer, refused.subject = identity.issuer, identity.subject
        raise


def _good_here(contents: Contents, key: SSHKey, now: datetime, source_ip: str | None) -> Identity:
    openssh.check_key(key)
    if contents.kind != openssh.USER:
        msg = "this is not a user certificate"
        raise IdentityRefused(msg)
    _check_validity(contents, now)
    _check_restrictions(contents, source_ip)
    return _identity(contents, key)


def _shown(key_id: str) -> str:
    """What somebody else signed, as short and as harmless as the audit log wants it."""
    return "".join(char if char.isprintable() else "?" for char in key_id[:KEY_ID_SHOWN])


def _check_validity(contents: Contents, now: datetime) -> None:
    longest = (LONGEST + SKEW).total_seconds()
    if not 0 < contents.valid_before - contents.valid_after <= longest:
        msg = "the certificate is valid for longer than this broker ever signs"
    elif now.timestamp() >= contents.valid_before:
        msg = "the certificate has expired; log in again"
    elif now.timestamp() < contents.valid_after:
        msg = "the certificate is not valid yet; is a clock wrong?"
    else:
        return
    raise IdentityRefused(msg)


def _check_restrictions(contents: Contents, source_ip: str | None) -> None:
    """Every critical option must be understood and hold; we understand one."""
    if unknown := next((name for name in contents.critical if name != SOURCE), None):
        msg = f"the certificate has a restriction that is not known here: {unknown!a}"
        raise IdentityRefused(msg)
    if SOURCE in contents.critical and not _is_here(contents.critical[SOURCE], source_ip):
        msg = "the certificate is for another source address; log in again from here"
        raise IdentityRefused(msg)


def _is_here(restriction: bytes, source_ip: str | None) -> bool:
    try:
        here = ipaddress.ip_address(_address(source_ip or ""))
        networks = openssh.single(restriction).split(",")
        return any(here in ipaddress.ip_network(network) for network in networks)
    except ValueError:
        return False


def _identity(contents: Contents, key: SSHKey) -> Identity:
    if not contents.principals:
        msg = "the certificate has no principals"
        raise IdentityRefused(msg)
    try:
        said = json.loads(openssh.single(contents.extensions[EXTENSION]))
        identity = _from_fields(said, contents, key)
    except (
        IdentityRefused,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        AttributeError,
    ):
        msg = "the certificate does not say who it is for (interlock@); log in again"
        raise IdentityRefused(msg) from None
    if contents.key_id != str(identity) or contents.principals != identity.principals:
        msg = "the certificate contradicts itself about who it is for"
        raise IdentityRefused(msg)
    return identity


def _from_fields(said: dict[str, object], contents: Contents, key: SSHKey) -> Identity:
    """Exactly the fields that `_written` writes, each of its type; anything else raises."""
    acting_for = said.pop("acting_for")
    identity = Identity(
        name=checked_name(_text(said.pop("name"))),
        kind=Kind(said.pop("kind")),
        issuer=_text(said.pop("issuer")),
        subject=_text(said.pop("subject")),
        groups=tuple(_text(group) for group in _typed(said.pop("groups"), list)),
        acting_for=None if acting_for is None else checked_name(_text(acting_for)),
        claims={name: _text(one) for name, one in _typed(said.pop("claims"), dict).items()},
        serial=contents.serial,
        fingerprint=key.get_fingerprint(),
        expires=datetime.fromtimestamp(contents.valid_before, UTC),
    )
    if said or len(identity.groups) > GROUP_LIMIT or not all(map(is_safe, identity.groups)):
        msg = "unexpected fields or groups"
        raise ValueError(msg)
    return identity


def _typed(value: object, kind: type) -> Any:  # noqa: ANN401 - the one place that narrows JSON
    if type(value) is not kind:
        msg = "a field of another type"
        raise TypeError(msg)
    return value


def _text(value: object) -> str:
    return str(_typed(value, str))


def _network(source: str) -> str:
    return source if "/" in source else _address(source)


def _address(address: str) -> str:
    """An address without the IPv6 dress that a dual-stack socket gives to IPv4, and no zone."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)
