"""SCRAM-SHA-256 and -PLUS (RFC 5802, 7677), the client's side; computes, and sends nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

from cryptography import x509

from broker.errors import TargetUnreachable

PLAIN, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
_ITERATIONS_LIMIT = 1_000_000  # more would be work that only a hostile server asks for


def end_point(certificate: bytes) -> bytes | None:
    """tls-server-end-point of a DER certificate (RFC 5929), or None when it has none."""
    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if algorithm is None:
        return None
    name = "sha256" if algorithm.name in {"md5", "sha1"} else algorithm.name
    return hashlib.new(name, certificate).digest()


@dataclass(frozen=True, slots=True)
class Binding:
    """What the exchange says about the TLS channel under it."""

    mechanism: str
    header: bytes
    data: bytes = b""


def choose(offered: list[str], channel: bytes | None, binding: str = "prefer") -> Binding:
    """The best mechanism that both sides have; over TLS, one that notices a man in the middle.

    `binding` is libpq's channel_binding: ``disable``, ``prefer`` or ``require``.
    """
    if PLUS in offered and channel is not None and binding != "disable":
        return Binding(PLUS, b"p=tls-server-end-point,,", channel)
    if binding == "require":
        msg = "the target does not bind the password to TLS, which channel_binding=require demands"
        raise TargetUnreachable(msg)
    if PLAIN not in offered:
        msg = "the target offers no way of logging in that we know"
        raise TargetUnreachable(msg)
    downgraded = channel is not None and PLUS not in offered and binding != "disable"
    return Binding(PLAIN, b"y,," if downgraded else b"n,,")


class SaltedKeys:
    """Salted passwords by password, salt and iterations: PBKDF2 takes milliseconds each time.

    A password is not a key of the table, but a digest of it that means nothing elsewhere. What is
    kept serves to log in like the password itself, so it is never shown or written, and few.
    """

    def __init__(self, size: int = 256) -> None:
        self._secret = secrets.token_bytes(32)
        self._size = size
        self._kept: dict[tuple[bytes, bytes, int], bytes] = {}

    def known(self, password: bytes, salt: bytes, iterations: int) -> bool:
        """Is it there without work?"""
        return self._name(password, salt, iterations) in self._kept

    def get(self, password: bytes, salt: bytes, iterations: int) -> bytes:
        """The salted password, computed once; the oldest makes room."""
        name = self._name(password, salt, iterations)
        if (found := self._kept.get(name)) is not None:
            return found
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        while len(self._kept) >= self._size:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[name] = salted
        return salted

    def _name(self, password: bytes, salt: bytes, iterations: int) -> tuple[bytes, bytes, int]:
        return _hmac(self._secret, password), salt, iterations


KEYS = SaltedKeys()
ITERATIONS = 4096  # PostgreSQL's own default


def verifier(password: str, salt: bytes, keys: SaltedKeys = KEYS) -> str:
    """What PostgreSQL keeps of a password: with it nobody can log in, so it may be in a log."""
    salted = keys.get(_prepared(password), salt, ITERATIONS)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"{PLAIN}${ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


class Exchange:
    """One login: `first()`, then `final(server's first)`, then `verify(server's final)`.

    `final` runs PBKDF2 for milliseconds unless it `is_quick`: call it in a thread.
    """

    def __init__(
        self,
        binding: Binding,
        password: str,
        nonce: str | None = None,
        keys: SaltedKeys = KEYS,
    ) -> None:
        self._keys = keys
        self._binding = binding
        self._password = _prepared(password)
        self._nonce = (nonce or secrets.token_urlsafe(24)).encode()
        self._bare = b"n=,r=" + self._nonce
        self._signature = b""

    def first(self) -> bytes:
        """client-first-message; the user name is the start-up packet's, so it is empty here."""
        return self._binding.header + self._bare

    def is_quick(self, server_first: bytes) -> bool:
        """Was this password salted so before?"""
        _, salt, iterations = self._read(server_first)
        return self._keys.known(self._password, salt, iterations)

    def _read(self, server_first: bytes) -> tuple[bytes, bytes, int]:
        """Nonce, salt and iterations."""
        fields = _fields(server_first)
        nonce, salt = fields.get(b"r", b""), _decoded(fields.get(b"s", b""))
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or not salt:
            raise TargetUnreachable(_BROKEN)
        count = fields.get(b"i")
        iterations = int(count) if count is not None and count.isdigit() else 0
        if not 1 <= iterations <= _ITERATIONS_LIMIT:
            raise TargetUnreachable(_BROKEN)
        return nonce, salt, iterations

    def final(self, server_first: bytes) -> bytes:
        """client-final-message: the proof."""
        nonce, salt, iterations = self._read(server_first)
        bound = base64.b64encode(self._binding.header + self._binding.data)
        without_proof = b"c=" + bound + b",r=" + nonce
        whole = b",".join((self._bare, server_first, without_proof))
        salted = self._keys.get(self._password, salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), whole)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), whole)
        return without_proof + b",p=" + base64.b64encode(proof)

    def verify(self, server_final: bytes) -> None:
        """Does the server know the password too? Raises TargetUnreachable when not."""
        signature = _decoded(_fields(server_final).get(b"v", b""))
        if not self._signature or not hmac.compare_digest(signature, self._signature):
            msg = "the target could not prove that it knows the password"
            raise TargetUnreachable(msg)


_BROKEN = "the target broke the SCRAM exchange"


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _fields(message: bytes) -> dict[bytes, bytes]:
    pairs = (part.partition(b"=") for part in message.split(b","))
    return {name: value for name, _, value in pairs}


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise TargetUnreachable(_BROKEN) from error


def _prepared(password: str) -> bytes:
    """SASLprep (RFC 4013); what it prohibits is used as it is, like the server does."""
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)
    )
    text = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    return (password if _prohibited(text) else text).encode()


def _prohibited(text: str) -> bool:
    tables = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
        stringprep.in_table_a1,
    )
    if not text or any(table(c) for c in text for table in tables):
        return True
    right_to_left = [stringprep.in_table_d1(c) for c in text]
    if not any(right_to_left):
        return False
    mixed = any(stringprep.in_table_d2(c) for c in text)
    return mixed or not (right_to_left[0] and right_to_left[-1])
