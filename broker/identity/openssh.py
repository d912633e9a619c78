"""The OpenSSH certificate format: signs one, takes one apart strictly; the only asyncssh here.

asyncssh parses a certificate but drops extensions that it does not know, takes an empty principal
list for "anybody", and accepts repeated options. So what a client shows is taken apart here once
more, and its signature is checked with the very key that we trust. Our extension is wrapped as
`ssh-keygen -O extension:` does it: an unknown *extension* is ignored by other programs, an unknown
*critical option* would refuse the certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from asyncssh.packet import PacketDecodeError, SSHPacket, String
from asyncssh.public_key import (
    KeyImportError,
    SSHOpenSSHCertificate,
    SSHOpenSSHCertificateV01,
    decode_ssh_certificate,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from broker.errors import IdentityRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncssh import SSHCertificate, SSHKey

USER = 1
HOST = 2
EXTENSION = "interlock@"
SMALLEST_RSA = 2048
SUFFIX = b"-cert-v01@openssh.com"
KEY_TYPES = (
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"ssh-rsa",
    b"sk-ssh-ed25519@openssh.com",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
)


class Signer(Protocol):
    """A CA's key, wherever it is: asyncssh's private keys are such, and keys in an agent."""

    @property
    def algorithm(self) -> bytes:
        """The key's type."""

    @property
    def public_data(self) -> bytes:
        """The public key as it stands in a certificate."""

    def sign(self, data: bytes, sig_alg: bytes, /) -> bytes:
        """A signature, with its type in front."""

    def convert_to_public(self) -> SSHKey:
        """The public key."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a certificate says beside its key; times are Unix seconds.

    Options are what asyncssh's encoder takes: text, True, or networks for ``source-address``.
    """

    kind: int
    serial: int
    key_id: str
    principals: Sequence[str]
    valid_after: int
    valid_before: int
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """A certificate's fields as they are written in it; option values are still encoded."""

    serial: int
    kind: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: Mapping[str, bytes]
    extensions: Mapping[str, bytes]
    signing_key: bytes
    signed: bytes
    signature: bytes


class _Certificate(SSHOpenSSHCertificateV01):
    """asyncssh's own encoder, told of our extension; extensions must be in lexical order."""

    _user_extension_encoders = cast(
        "Any",
        (
            (EXTENSION, lambda value: String(str(value))),
            ("permit-port-forwarding", lambda _: b""),
            ("permit-pty", lambda _: b""),
        ),
    )


def sign(ca: Signer, key: SSHKey, terms: Terms) -> bytes:
    """A certificate for `key` in these terms: one OpenSSH line."""
    made = _Certificate.generate(
        cast("SSHKey", ca),
        _certificate_type(key),
        key,
        terms.serial,
        terms.kind,
        terms.key_id,
        terms.principals,
        terms.valid_after,
        terms.valid_before,
        dict(terms.options),
        _signature_type(ca),
        terms.key_id.encode(),
    )
    return made.export_certificate("openssh")


def check_key(key: SSHKey) -> None:
    """Refuse keys that are too weak to stand for somebody."""
    if key.algorithm not in KEY_TYPES:
        msg = "keys of this type are not accepted; use ed25519, ecdsa or rsa"
        raise IdentityRefused(msg)
    bare = key.pyca_key
    if isinstance(bare, RSAPublicKey | RSAPrivateKey) and bare.key_size < SMALLEST_RSA:
        msg = f"an RSA key must have at least {SMALLEST_RSA} bits"
        raise IdentityRefused(msg)


def parse(cert: SSHCertificate) -> Contents:
    """The fields of a certificate; ValueError when it is not exactly in the format."""
    try:
        return _parsed(cert)
    except (KeyImportError, PacketDecodeError) as error:
        msg = "the certificate is malformed"
        raise ValueError(msg) from error


def is_damaged_certificate(data: bytes) -> bool:
    """Does this call itself a certificate, while asyncssh cannot read it or its signature?"""
    try:
        decode_ssh_certificate(data)
    except KeyImportError:
        named = data[4 : 4 + int.from_bytes(data[:4], "big")]
        return named.endswith(SUFFIX)
    return False


def check_signer(contents: Contents, ca_public_keys: Sequence[SSHKey]) -> None:
    """Refuse a certificate that none of these keys signed; SHA-1 signatures do not count."""
    ours = next((ca for ca in ca_public_keys if ca.public_data == contents.signing_key), None)
    if ours is None:
        msg = "the certificate was not signed by this broker's CA; log in again"
        raise IdentityRefused(msg)
    if not _is_signed(contents, ours):
        msg = "the certificate's signature is wrong"
        raise IdentityRefused(msg)


def single(value: bytes) -> str:
    """The one string inside an option's value."""
    try:
        packet = SSHPacket(value)
        text = packet.get_string().decode()
        packet.check_end()
    except PacketDecodeError as error:
        msg = "an option's value is malformed"
        raise ValueError(msg) from error
    return text


def _parsed(cert: SSHCertificate) -> Contents:
    if not isinstance(cert, SSHOpenSSHCertificate) or cert.algorithm != _certificate_type(cert.key):
        msg = "not an OpenSSH certificate of its own key's type"
        raise ValueError(msg)
    packet = SSHPacket(cert.public_data)
    if packet.get_string() != cert.algorithm:
        msg = "the type inside is another one"
        raise ValueError(msg)
    packet.get_string()  # the nonce
    type(cert.key).decode_ssh_public(packet)
    serial, kind = packet.get_uint64(), packet.get_uint32()
    key_id, principals = packet.get_string().decode(), _strings(packet.get_string())
    valid_after, valid_before = packet.get_uint64(), packet.get_uint64()
    critical, extensions = _options(packet.get_string()), _options(packet.get_string())
    packet.get_string()  # reserved by OpenSSH
    signing_key = packet.get_string()
    signed = packet.get_consumed_payload()
    signature = packet.get_string()
    packet.check_end()
    return Contents(
        serial,
        kind,
        key_id,
        principals,
        valid_after,
        valid_before,
        critical,
        extensions,
        signing_key,
        signed,
        signature,
    )


def _strings(data: bytes) -> tuple[str, ...]:
    packet, found = SSHPacket(data), []
    while packet:
        found.append(packet.get_string().decode())
    return tuple(found)


def _options(data: bytes) -> dict[str, bytes]:
    """Names and values; each name once and in order, so that no two readers can differ."""
    packet, found, last = SSHPacket(data), {}, b""
    while packet:
        name = packet.get_string()
        if name <= last:
            msg = "options are repeated or out of order"
            raise ValueError(msg)
        found[name.decode("ascii")] = packet.get_string()
        last = name
    return found


def _is_signed(contents: Contents, ca: SSHKey) -> bool:
    try:
        sha1 = SSHPacket(contents.signature).get_string() == b"ssh-rsa"
        public = ca.convert_to_public()  # asyncssh verifies with public keys only
        return not sha1 and public.verify(contents.signed, contents.signature)
    except (PacketDecodeError, ValueError):
        return False


def _certificate_type(key: SSHKey) -> bytes:
    return key.algorithm.removesuffix(b"@openssh.com") + SUFFIX


def _signature_type(ca: Signer) -> bytes:
    """SHA-1 is never signed with, whatever a library's first choice is."""
    return b"rsa-sha2-512" if ca.algorithm == b"ssh-rsa" else ca.algorithm
