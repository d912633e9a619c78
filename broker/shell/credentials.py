"""What opens an ssh target: a certificate of ours for this session, a configured key, a password.

All of it is read or made anew for each connection, and only once the target has proven its host
key: a rotated secret is found, and no other server learns one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncssh

from broker.errors import InterlockError, TargetUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.targets import SecretSource, SshTarget

    Resolve = Callable[[SecretSource], str]
    Certify = Callable[[asyncssh.SSHKey, Sequence[str]], bytes]

ANY = "any"  # as `source_address`: the certificate is good from everywhere


class Credentials:
    """One session's; `certify` signs a key for these source addresses (none: for all)."""

    def __init__(self, target: SshTarget, resolve: Resolve, certify: Certify) -> None:
        self._target = target
        self._resolve = resolve
        self._certify = certify

    @property
    def methods(self) -> str:
        """What may be tried, in asyncssh's words."""
        if self._target.password is None:
            return "publickey"
        answers = "password,keyboard-interactive"
        return answers if self._target.key is None else f"publickey,{answers}"

    async def keys(self, here: str | None) -> Sequence[asyncssh.SSHKeyPair]:
        """The configured key, or a new one with a certificate for a client at this address."""
        if self._target.key is not None:
            return await asyncio.to_thread(self._configured, str(self._target.key))
        key = asyncssh.generate_private_key("ssh-ed25519")
        certificate = self._certify(key, self._sources(here))
        return asyncssh.load_keypairs([(key, asyncssh.import_certificate(certificate))])

    async def password(self) -> str | None:
        """The password, where one is configured."""
        source = self._target.password
        return None if source is None else await asyncio.to_thread(self._read, source)

    def _sources(self, here: str | None) -> tuple[str, ...]:
        configured = self._target.source_address
        if configured:
            return () if ANY in configured else configured
        return () if here is None else (here,)

    def _configured(self, path: str) -> Sequence[asyncssh.SSHKeyPair]:
        source = self._target.passphrase
        passphrase = None if source is None else self._read(source)
        try:
            return asyncssh.load_keypairs([path], passphrase)
        except (OSError, ValueError) as error:
            locked = isinstance(error, asyncssh.KeyEncryptionError) or "assphrase" in str(error)
            why = "its passphrase is another one" if locked else "no private key is there"
            msg = f"target {self._target.name}: the key {path} cannot be read: {why}"
            raise TargetUnreachable(msg) from None

    def _read(self, source: SecretSource) -> str:
        try:
            return self._resolve(source)
        except InterlockError as error:
            msg = f"target {self._target.name}: {error}"
            raise TargetUnreachable(msg) from None
