"""The broker's own keys in `state/keys/`: made at the first start, refused when others can read.

user_ca    signs user certificates           user_ca.pub
host_ca    signs our host key                host_ca.pub     (clients' @cert-authority line)
host_key   the listener's                    host_key.pub
target_ca  signs per-session certificates    target_ca.pub   (targets' TrustedUserCAKeys)

The user CA's key may be elsewhere: in another file, or in an ssh-agent; then there is no `user_ca`,
and user_ca_agent.pub keeps what the agent said, so that certificates are read while it is away.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from broker.errors import InterlockError
from broker.identity import agent, certificate, key_files
from broker.identity.custody import InAgent, InFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import asyncssh

    from broker.identity.custody import Custody
    from broker.identity.openssh import Signer
    from broker.model import Identity

log = logging.getLogger("interlock.identity")

HOST_LIFE = timedelta(days=3650)  # host_ca lies beside host_key: a shorter life would gain nothing
EARLY = timedelta(hours=1)  # host certificates begin this much earlier: clients' clocks differ
SSH_PORT = 22
SOCKET_VARIABLE = "SSH_AUTH_SOCK"
NOWHERE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, repr=False)
class Authority:
    """Signs for this broker, and knows what it signed.

    `user_ca` alone signs new user certificates; those that one of `earlier` signed are still good.
    """

    user_ca: Signer
    host_ca: asyncssh.SSHKey
    host_key: asyncssh.SSHKey
    target_ca: asyncssh.SSHKey
    earlier: tuple[asyncssh.SSHKey, ...] = ()

    @classmethod
    def open(
        cls,
        keys_dir: Path,
        user_ca: Custody | None = None,
        earlier: Sequence[Path] = (),
        environ: Mapping[str, str] = NOWHERE,
    ) -> Authority:
        """The keys in this directory; those that are missing are made.

        `user_ca` says where else that one is; `earlier` are public key files.
        """
        with key_files.directory(keys_dir):
            return cls(
                user_ca=_user_ca(keys_dir, user_ca, environ),
                host_ca=key_files.key(keys_dir / "host_ca"),
                host_key=key_files.key(keys_dir / "host_key"),
                target_ca=key_files.key(keys_dir / "target_ca"),
                earlier=tuple(map(_ca_key, earlier)),
            )

    def grant(
        self,
        public_key: asyncssh.SSHKey,
        identity: Identity,
        *,
        ttl: timedelta,
        now: datetime,
        serial: int | None = None,
        source_address: str | None = None,
    ) -> tuple[bytes, Identity]:
        """A new user certificate (one line), and the identity with its serial and end.

        The caller's store knows a `serial` that no node gave before; without one it is random.
        With the CA key in an agent this may block for some seconds, or raise TryLater.
        """
        now = now.replace(microsecond=0)  # a certificate counts whole seconds
        signed = replace(
            identity,
            serial=certificate.new_serial() if serial is None else serial,
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
        trusted = [self.user_ca.convert_to_public(), *self.earlier]
        return certificate.read(cert, trusted, now, source_ip)

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
        sources: Sequence[str] = (),
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
            sources=sources,
        )

    def known_hosts_line(self, name: str = "*", port: int = SSH_PORT) -> str:
        """The line that makes ssh trust every broker with our host CA, without the line end."""
        return known_hosts_line(self.host_ca, name, port)


def known_hosts_line(host_ca: asyncssh.SSHKey, name: str = "*", port: int = SSH_PORT) -> str:
    """The same, when there is only the key."""
    host = name if name == "*" or port == SSH_PORT else f"[{name}]:{port}"
    return f"@cert-authority {host} {key_files.public_line(host_ca)}"


# -- the user CA -------------------------------------------------------------------------------


def _user_ca(keys_dir: Path, custody: Custody | None, environ: Mapping[str, str]) -> Signer:
    match custody:
        case None:
            return key_files.key(keys_dir / "user_ca")
        case InFile(path):
            key = key_files.private_key(path)
            agent.check_type(key)
            return key
        case InAgent():
            return _in_agent(custody, keys_dir / "user_ca_agent.pub", environ)


def _in_agent(custody: InAgent, kept: Path, environ: Mapping[str, str]) -> agent.AgentKey:
    """The agent's key; when it cannot be asked now, as we know it from before by fingerprint."""
    path = custody.socket or Path(environ.get(SOCKET_VARIABLE) or "")
    if path == Path():
        msg = f"user_ca: there is no ssh-agent: set {SOCKET_VARIABLE}, or `socket` beside `agent`"
        raise InterlockError(msg)
    try:
        public = agent.find(path, custody.fingerprint)
    except agent.AgentFailure as failure:
        known = _ca_key(kept) if kept.exists() else None
        if known is None or known.get_fingerprint() != custody.fingerprint:
            msg = f"user_ca: {failure}"
            raise InterlockError(msg) from None
        public = known
        log.warning("user_ca: %s; nobody can log in until it does", failure)
    agent.check_type(public)
    key_files.write_anew(kept, f"{key_files.public_line(public)} interlock user_ca\n".encode())
    return agent.AgentKey(path, public)


def _ca_key(path: Path) -> asyncssh.SSHKey:
    key = key_files.public_key(path)
    agent.check_type(key)
    return key
