"""The certificate that a client holds beside its key, read with nothing heavy: ssh waits for us.

Only what a client needs to know is read: for which key it is, until when, and whether a broker
of this kind signed it. Nothing is verified, which is the broker's part.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

MARK = b"interlock@"  # our extension; identity.openssh signs it
SUFFIX = b"-cert-v01@openssh.com"
USER = 1

PARTS = {  # how many fields make the public key, which come after the nonce
    b"ssh-ed25519": 1,
    b"ssh-rsa": 2,
    b"ecdsa-sha2-nistp256": 2,
    b"ecdsa-sha2-nistp384": 2,
    b"ecdsa-sha2-nistp521": 2,
    b"sk-ssh-ed25519": 2,
    b"sk-ecdsa-sha2-nistp256": 3,
}
FIDO = b"sk-"

SHORTLY_S = 60.0  # a certificate with less time than this left is renewed
SHORTLY_PART = 0.1  # or, of one that is short itself, with this part of its time left


@dataclass(frozen=True, slots=True)
class Held:
    """One certificate: `key` is the public key that it is for, as in the base64 of a `.pub`."""

    key: bytes
    begins: int
    ends: int
    ours: bool

    def good(self, now: float) -> bool:
        """Is there enough time left for a connection to be made?"""
        return self.ends - now > min(SHORTLY_S, (self.ends - self.begins) * SHORTLY_PART)


def read(line: str) -> Held | None:
    """A certificate in OpenSSH's one-line form; None when it is none."""
    words = line.split()
    try:
        fields = _Fields(base64.b64decode(words[1], validate=True))
        return _held(fields)
    except (IndexError, ValueError, binascii.Error):
        return None


def public(line: str) -> bytes:
    """The bytes of a public key in the same form; empty when it is none."""
    words = line.split()
    try:
        return base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError, binascii.Error):
        return b""


class _Fields:
    """SSH's encoding, one field after the other; ValueError when it ends too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def text(self) -> bytes:
        return self._take(self.number(4))

    def _take(self, size: int) -> bytes:
        if size > len(self._data):
            msg = "ends too soon"
            raise ValueError(msg)
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def __bool__(self) -> bool:
        return bool(self._data)


def _held(fields: _Fields) -> Held | None:
    kind = fields.text()
    plain = kind.removesuffix(SUFFIX)
    if plain == kind or plain not in PARTS:
        return None
    fields.text()  # the nonce
    parts = [fields.text() for _ in range(PARTS[plain])]
    fields.number(8)  # the serial
    is_user = fields.number(4) == USER
    fields.text()  # the key id
    fields.text()  # the principals
    begins, ends = fields.number(8), fields.number(8)
    fields.text()  # critical options
    extensions = _Fields(fields.text())
    names = []
    while extensions:
        names.append(extensions.text())
        extensions.text()
    name = plain + b"@openssh.com" if plain.startswith(FIDO) else plain
    key = b"".join(len(part).to_bytes(4, "big") + part for part in (name, *parts))
    return Held(key, begins, ends, is_user and MARK in names)
