"""The broker's own keys in `state/keys/`: made at the first start, refused when others can read.

user_ca    signs user certificates           user_ca.pub
host_ca    signs our host key                host_ca.pub     (clients' @cert-authority line)
host_key   the listener's                    host_key.pub
target_ca  signs per-session certificates    target_ca.pub   (targets' TrustedUserCAKeys)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncssh

from broker.errors import InterlockError
from broker.identity import certificate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from broker.model import Identity

HOST_LIFE = timedelta(days=3650)  # host_ca lies beside host_key: a shorter life would gain nothing
EARLY = timedelta(hours=1)  # host certificates begin this much earlier: clients' clocks differ
SSH_PORT = 22
KEY_FILE_LIMIT = 64 * 1024
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, repr=False)
class Authority:
    """Signs for this broker, and knows what it signed."""

    user_ca: asyncssh.SSHKey
    host_ca: asyncssh.SSHKey
    host_key: asyncssh.SSHKey
    target_ca: asyncssh.SSHKey

    @classmethod
    def open(cls, keys_dir: Path) -> Authority:
        """The keys in this directory; those that are missing are made."""
        names = ("user_ca", "host_ca", "host_key", "target_ca")
        try:
            keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(keys_dir, keys_dir.stat(), OTHERS_WRITE, "chmod 700")
            return cls(*(_key(keys_dir / name) for name in names))
        except OSError as error:
            msg = f"cannot make or read the keys in {keys_dir}: {error.strerror}"
            raise InterlockError(msg) from error

    def grant(
        self,
        public_key: asyncssh.SSHKey,
        identity: Identity,
        *,
        ttl: timedelta,
        now: datetime,
        source_address: str | None = None,
    ) -> tuple[bytes, Identity]:
        """A new user certificate (one line), and the identity with its serial and end."""
        now = now.replace(microsecond=0)  # a certificate counts whole seconds
        signed = replace(
            identity,
            serial=certificate.new_serial(),
            fingerprint=public_key.get_fingerprint(),
            expires=now + ttl,
        )
        line = certificate.issue(
            self.user_ca,
            public_key,
            signed,
            serial=signed.serial,
            not_before=now,
            not_after=now + ttl,
            source_address=source_address,
        )
        return line, signed

    def read(self, cert: asyncssh.SSHCertificate, now: datetime, source_ip: str | None) -> Identity:
        """The identity in a user certificate of ours, or IdentityRefused."""
        return certificate.read(cert, [self.user_ca], now, source_ip)

    def host_certificate(self, now: datetime, names: Sequence[str] = ()) -> bytes:
        """A certificate for our host key, one line, for these names.

        OpenSSH from 10.3 takes ``*`` for any name and refuses a certificate without names; older
        ones do the opposite.
        """
        return certificate.issue_host(
            self.host_ca,
            self.host_key,
            serial=certificate.new_serial(),
            not_before=now - EARLY,
            not_after=now + HOST_LIFE,
            names=tuple(names),
        )

    def target_certificate(
        self,
        public_key: asyncssh.SSHKey,
        *,
        user: str,
        identity: Identity,
        session: str,
        now: datetime,
    ) -> bytes:
        """A five-minute certificate for one session on an ssh target, one line."""
        return certificate.issue_target(
            self.target_ca,
            public_key,
            user=user,
            identity=identity,
            session=session,
            serial=certificate.new_serial(),
            now=now,
        )

    def known_hosts_line(self, name: str = "*", port: int = SSH_PORT) -> str:
        """The line that makes ssh trust every broker with our host CA, without the line end."""
        host = name if name == "*" or port == SSH_PORT else f"[{name}]:{port}"
        return f"@cert-authority {host} {_public_line(self.host_ca)}"


# -- files -------------------------------------------------------------------------------------


def _key(path: Path) -> asyncssh.SSHKey:
    """The private key in this file, made when there is none; its `.pub` file belongs to it."""
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519", comment=f"interlock {path.name}")
        _write_new(path, made.export_private_key("openssh"), 0o600)
    key = _read(path)
    public = path.with_name(path.name + ".pub")
    if not public.exists():
        _write_new(public, f"{_public_line(key)} interlock {path.name}\n".encode(), 0o644)
    words = public.read_bytes()[:KEY_FILE_LIMIT].split()
    if words[:2] != _public_line(key).encode().split():
        msg = f"{public} does not belong to {path}; remove it, and it is made again"
        raise InterlockError(msg)
    return key


def _read(path: Path) -> asyncssh.SSHKey:
    with path.open("rb") as file:
        _check_owner(path, os.fstat(file.fileno()), OTHERS, "chmod 600")
        data = file.read(KEY_FILE_LIMIT)
    try:
        return asyncssh.import_private_key(data)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        msg = f"{path} is not a private key without passphrase"
        raise InterlockError(msg) from None


def _check_owner(path: Path, found: os.stat_result, forbidden: int, remedy: str) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        msg = f"{path} belongs to another user (uid {found.st_uid}); it must be the broker's"
        raise InterlockError(msg)
    if found.st_mode & forbidden:
        mode = stat.S_IMODE(found.st_mode)
        msg = f"{path} is open to other users (mode {mode:04o}); {remedy} {path}"
        raise InterlockError(msg)


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


def _public_line(key: asyncssh.SSHKey) -> str:
    """Type and key in base64, without the comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])
