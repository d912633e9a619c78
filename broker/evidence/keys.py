"""The log's signing key: made at the first start, readable by its owner alone, never replaced."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broker.errors import EvidenceFailure
from broker.evidence.note import NoteError, VerifierKey

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = "log"
PUBLIC = "log.pub"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A signing key and its public side."""

    private: Ed25519PrivateKey = field(repr=False)
    verifier: VerifierKey


def load_or_create(folder: Path, name: str) -> LogKey:
    """The log's key in `folder`; `name` is the log's name when the key is made now.

    A public key without its private one is refused: a new key would disown the log.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / PRIVATE).exists():
            _create(folder)
        return _load(folder, name)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        msg = f"the audit log's key in {folder} cannot be used: {why}"
        raise EvidenceFailure(msg) from error


def load_public(folder: Path) -> VerifierKey:
    """The log's public key; NoteError or OSError when it is missing or malformed."""
    line = (folder / PUBLIC).read_bytes()
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError as error:
        msg = "not a public key line of a log"
        raise NoteError(msg) from error
    if not text.endswith("\n"):
        msg = "the public key line is cut off"
        raise NoteError(msg)
    return VerifierKey.parse(text[:-1])


def _create(folder: Path) -> None:
    if (folder / PUBLIC).exists():
        msg = f"{PUBLIC} is there but {PRIVATE} is missing; restore it"
        raise NoteError(msg)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(folder / PRIVATE, pem, 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    fresh = path.with_name(path.name + ".new")  # a crash must not leave half a key
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    fresh.rename(path)


def _load(folder: Path, name: str) -> LogKey:
    path = folder / PRIVATE
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_mode & 0o077 or status.st_uid not in {os.geteuid(), 0}:
            msg = f"others may read it; run: chmod 600 {path}"
            raise NoteError(msg)
        private = load_pem_private_key(file.read(), None)
    if not isinstance(private, Ed25519PrivateKey):
        msg = "not an Ed25519 key"
        raise NoteError(msg)
    if not (folder / PUBLIC).exists():
        _write(folder / PUBLIC, f"{VerifierKey.of(name, private)}\n".encode(), 0o644)
    verifier = load_public(folder)
    if verifier != VerifierKey.of(verifier.name, private):
        msg = f"{PRIVATE} and {PUBLIC} do not belong together"
        raise NoteError(msg)
    return LogKey(private, verifier)
