"""Signed notes (C2SP signed-note), the public key line, and checkpoints (C2SP tlog-checkpoint).

Reading is strict: one way to write each thing, so that no byte can change unseen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+\x00-\x20\x7f]{1,255}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")


class NoteError(ValueError):
    """A note, key line or checkpoint that does not prove what it claims."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A log's public key with its name, as ``name+hex(key id)+base64(0x01 || key)``."""

    name: str
    public: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_b64(_ED25519 + self.public)}"

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256 over name and key."""
        named = self.name.encode() + b"\n" + _ED25519 + self.public
        return hashlib.sha256(named).digest()[:4]

    @classmethod
    def of(cls, name: str, private: Ed25519PrivateKey) -> VerifierKey:
        """The public side of a signing key."""
        if _NAME.fullmatch(name) is None:
            msg = "the log's name may hold no blank and no plus sign"
            raise NoteError(msg)
        return cls(name, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def parse(cls, line: str) -> VerifierKey:
        """Read a key line, without the line end."""
        name, _, rest = line.partition("+")
        _, _, encoded = rest.partition("+")
        data = _unb64(encoded)
        key = cls(name, data[1:])
        if _NAME.fullmatch(name) is None or len(data) != 33 or str(key) != line:
            msg = "not a public key line of a log"
            raise NoteError(msg)
        return key


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: whose, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint; extension lines are not used here, so refused."""
        match text.split("\n"):
            case [origin, size, root, ""] if origin and _SIZE.fullmatch(size):
                checkpoint = cls(origin, int(size), _unb64(root))
                if checkpoint.text == text and len(checkpoint.root) == 32:
                    return checkpoint
        msg = "not a checkpoint"
        raise NoteError(msg)


def signed(text: str, name: str, private: Ed25519PrivateKey) -> bytes:
    """A note: the text, an empty line, and our signature line."""
    signature = private.sign(text.encode())
    return f"{text}\n{_line(VerifierKey.of(name, private), signature)}".encode()


def opened(note: bytes, key: VerifierKey) -> str:
    """The text of a note that carries exactly one signature: this key's, and it is right."""
    try:
        text, gap, tail = note.decode().rpartition("\n\n")
    except UnicodeDecodeError as error:
        msg = "the note is not text"
        raise NoteError(msg) from error
    text += "\n"
    start = f"\N{EM DASH} {key.name} "
    if not gap or not tail.startswith(start):
        msg = "the note is not signed by this log"
        raise NoteError(msg)
    blob = _unb64(tail.removeprefix(start).removesuffix("\n"))
    if tail != _line(key, blob[4:]):
        msg = "the note does not carry exactly one signature of this log"
        raise NoteError(msg)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(blob[4:], text.encode())
    except InvalidSignature as error:
        msg = "the signature is wrong"
        raise NoteError(msg) from error
    return text


def _line(key: VerifierKey, signature: bytes) -> str:
    return f"\N{EM DASH} {key.name} {_b64(key.key_id + signature)}\n"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        msg = "not base64"
        raise NoteError(msg) from error
