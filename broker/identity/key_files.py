"""Key files: made whole, refused when others can read them, public halves beside them."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING

import asyncssh

from broker.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_FILE_LIMIT = 64 * 1024
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextlib.contextmanager
def directory(path: Path) -> Iterator[Path]:
    """The directory, made or found to be nobody else's; what fails inside is said in a sentence."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(path, path.stat(), OTHERS_WRITE, "chmod 700")
        yield path
    except OSError as error:
        file = error.filename or path
        msg = f"cannot make or read the keys in {path}: {error.strerror} ({file})"
        raise InterlockError(msg) from error


def key(path: Path) -> asyncssh.SSHKey:
    """The private key in this file, made when there is none; its `.pub` file belongs to it."""
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519", comment=f"interlock {path.name}")
        _write_new(path, made.export_private_key("openssh"), 0o600)
    found = private_key(path)
    public = path.with_name(path.name + ".pub")
    if not public.exists():
        _write_new(public, f"{public_line(found)} interlock {path.name}\n".encode(), 0o644)
    words = public.read_bytes()[:KEY_FILE_LIMIT].split()
    if words[:2] != public_line(found).encode().split():
        msg = f"{public} does not belong to {path}; remove it, and it is made again"
        raise InterlockError(msg)
    return found


def private_key(path: Path) -> asyncssh.SSHKey:
    """The private key in a file that is there."""
    with path.open("rb") as file:
        _check_owner(path, os.fstat(file.fileno()), OTHERS, "chmod 600")
        data = file.read(KEY_FILE_LIMIT)
    try:
        return asyncssh.import_private_key(data)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        msg = f"{path} is not a private key without passphrase"
        raise InterlockError(msg) from None


def public_key(path: Path) -> asyncssh.SSHKey:
    """The public key in a file: one OpenSSH line."""
    data = path.read_bytes()[:KEY_FILE_LIMIT]
    try:
        if b"PRIVATE KEY" not in data:  # asyncssh would take the public half of one
            return asyncssh.import_public_key(data)
        msg = f"{path} is a private key; its public half belongs here"
        raise InterlockError(msg)
    except asyncssh.KeyImportError:
        msg = f"{path} is not a public key"
        raise InterlockError(msg) from None


def public_line(key: asyncssh.SSHKey) -> str:
    """Type and key in base64, without the comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def _check_owner(path: Path, found: os.stat_result, forbidden: int, remedy: str) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        msg = f"{path} belongs to another user (uid {found.st_uid}); it must be the broker's"
        raise InterlockError(msg)
    if found.st_mode & forbidden:
        mode = stat.S_IMODE(found.st_mode)
        msg = f"{path} is open to other users (mode {mode:04o}); {remedy} {path}"
        raise InterlockError(msg)


def write_anew(path: Path, data: bytes) -> None:
    """A public file, replaced only when it says something else."""
    if path.exists() and path.read_bytes() == data:
        return
    path.unlink(missing_ok=True)
    _write_new(path, data, 0o644)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all; when another start was first, its file stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
