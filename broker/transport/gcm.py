"""AES-GCM with its key schedule kept: asyncssh expands the key anew for each packet."""

from __future__ import annotations

import asyncssh.encryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG = 16  # bytes of authentication after each packet
BLOCK = 16  # bytes that every packet's encrypted part is a multiple of
LENGTH = 4  # bytes of the length before each packet: authenticated, not encrypted

_WRAP = 1 << 64


class Gcm(asyncssh.encryption.GCMEncryption):
    """One direction of one connection, from one key exchange to the next."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._aead = AESGCM(key)
        self._fixed = iv[:4]
        self._invocation = int.from_bytes(iv[4:], "big")

    @classmethod
    def taking_over(cls, plain: object) -> Gcm | None:
        """The same key and the next nonce as asyncssh's own object; None for any other cipher."""
        if type(plain) is not asyncssh.encryption.GCMEncryption:
            return None
        cipher = plain._cipher  # the fingerprint in `known` covers it
        return cls(cipher._key, cipher._iv)

    def seal(self, header: bytes, body: bytes) -> bytes:
        """The encrypted body and its tag; the nonce is used up."""
        sealed = self._aead.encrypt(self._nonce(), body, header)
        self.skip()
        return sealed

    def opened(self, header: bytes, sealed: bytes) -> bytes | None:
        """The body, or None when it was altered. The nonce stays until `skip`."""
        try:
            return self._aead.decrypt(self._nonce(), sealed, header)
        except InvalidTag:
            return None

    def skip(self) -> None:
        """Go on to the next packet's nonce."""
        self._invocation = (self._invocation + 1) % _WRAP

    def _nonce(self) -> bytes:
        return self._fixed + self._invocation.to_bytes(8, "big")

    # -- what asyncssh's own path calls ----------------------------------------------------------

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        """Header and encrypted packet, and the tag."""
        sealed = self.seal(header, packet)
        return header + sealed[:-TAG], sealed[-TAG:]

    def decrypt_packet(
        self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes
    ) -> bytes | None:
        """The packet, or None when it was altered."""
        body = self.opened(first[:header_len], first[header_len:] + rest + mac)
        self.skip()
        return body
