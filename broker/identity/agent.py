"""Signs with a key that an ssh-agent holds, so that it may live in an HSM or a key service.

Each signature has a connection of its own: an agent that was restarted is simply found again. It
blocks, for a few seconds at most; call it in a thread.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh
from asyncssh.packet import Byte, PacketDecodeError, SSHPacket, String, UInt32

from broker.errors import InterlockError, TryLater

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 5.0
ANSWER_LIMIT = 256 * 1024

LIST, LISTED = 11, 12  # message numbers of the agent protocol
SIGN, SIGNED = 13, 14
RSA_SHA2_512 = 4
KEY_TYPES = (  # hardware keys that want a touch for every login are no use here
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


class AgentFailure(Exception):
    """The agent is not there, or does not do what it was asked for."""


@dataclass(frozen=True, slots=True, repr=False)
class AgentKey:
    """One key in an agent: a `Signer`."""

    socket: Path
    public: asyncssh.SSHKey

    @property
    def algorithm(self) -> bytes:
        """The key's type."""
        return self.public.algorithm

    @property
    def public_data(self) -> bytes:
        """The public key as it stands in a certificate."""
        return self.public.public_data

    def convert_to_public(self) -> asyncssh.SSHKey:
        """The public key."""
        return self.public

    def sign(self, data: bytes, sig_alg: bytes) -> bytes:
        """A signature by the agent, which is believed only after it was verified."""
        flags = UInt32(RSA_SHA2_512 if sig_alg == b"rsa-sha2-512" else 0)
        request = Byte(SIGN) + String(self.public_data) + String(data) + flags
        try:
            signature = _asked(self.socket, request, SIGNED).get_string()
            verified = SSHPacket(signature).get_string() == sig_alg and self.public.verify(
                data, signature
            )
        except (AgentFailure, PacketDecodeError, ValueError) as error:
            msg = f"the CA key cannot be used now ({error}); log in later, with a new token"
            raise TryLater(msg) from None
        if not verified:
            msg = "the CA key cannot be used now: the ssh-agent gave a wrong signature"
            raise TryLater(msg)
        return signature


def find(path: Path, fingerprint: str) -> asyncssh.SSHKey:
    """The public key with this fingerprint in the agent at `path`. Raises AgentFailure."""
    try:
        answer = _asked(path, Byte(LIST), LISTED)
        blobs = []
        for _ in range(answer.get_uint32()):
            blobs.append(answer.get_string())
            answer.get_string()  # the comment
    except PacketDecodeError:
        msg = f"the ssh-agent at {path} gave an answer that cannot be read"
        raise AgentFailure(msg) from None
    for blob in blobs:
        key = _public(blob)
        if key is not None and key.get_fingerprint() == fingerprint:
            return key
    msg = f"the ssh-agent at {path} has no key {fingerprint}"
    raise AgentFailure(msg)


def check_type(key: asyncssh.SSHKey) -> None:
    """Refuse key types that cannot sign for us."""
    if key.get_algorithm() not in KEY_TYPES:
        msg = f"user_ca: a {key.get_algorithm()} key cannot be the CA; use ed25519, ecdsa or rsa"
        raise InterlockError(msg)


def _public(blob: bytes) -> asyncssh.SSHKey | None:
    """A plain public key; an agent also lists certificates and types that are not known here."""
    try:
        return asyncssh.public_key.decode_ssh_public_key(blob)
    except asyncssh.KeyImportError:
        return None


def _asked(path: Path, request: bytes, expected: int) -> SSHPacket:
    """The answer to one request, after its message number."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(String(request))
            answer = SSHPacket(_read(connection, int.from_bytes(_read(connection, 4), "big")))
    except TimeoutError:
        msg = f"the ssh-agent at {path} does not answer"
        raise AgentFailure(msg) from None
    except (OSError, ValueError) as error:
        msg = f"cannot reach the ssh-agent at {path}: {getattr(error, 'strerror', None) or error}"
        raise AgentFailure(msg) from None
    if not answer or answer.get_byte() != expected:
        msg = f"the ssh-agent at {path} refused"
        raise AgentFailure(msg)
    return answer


def _read(connection: socket.socket, size: int) -> bytes:
    if size > ANSWER_LIMIT:
        msg = "its answer is too long"
        raise ValueError(msg)
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            msg = "it closed the connection"
            raise ValueError(msg)
        data += chunk
    return data
