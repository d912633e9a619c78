"""Is this the asyncssh that the fast path was written for, to the byte?

The fast path depends on asyncssh's insides, so a new version, or a patched copy of this one, may
not get it unseen: then everything runs on asyncssh's own path, slower and just as safe.
"""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from pathlib import Path

import asyncssh
import asyncssh.channel
import asyncssh.connection
import asyncssh.crypto.cipher
import asyncssh.encryption
import asyncssh.packet

log = logging.getLogger("interlock.transport")

MODULES = (
    asyncssh.connection,
    asyncssh.channel,
    asyncssh.encryption,
    asyncssh.crypto.cipher,
    asyncssh.packet,
)
WRITTEN_FOR = {
    "2.24.1": "e401c0d20da7ad5f4ee33743320b619dc777c482ce44f1556db43d3da82514fe"
}  # version: SHA-256 over the files of MODULES, in order
LEANED_ON = (  # what the fast path replaces or calls; nobody else may have replaced it
    (asyncssh.connection.SSHConnection, "data_received"),
    (asyncssh.connection.SSHConnection, "send_packet"),
    (asyncssh.connection.SSHConnection, "send_newkeys"),
    (asyncssh.connection.SSHConnection, "_recv_data"),
    (asyncssh.connection.SSHConnection, "_recv_pkthdr"),
    (asyncssh.connection.SSHConnection, "_recv_packet"),
    (asyncssh.connection.SSHConnection, "_finish_recv_packet"),
    (asyncssh.connection.SSHConnection, "_reset_keepalive_timer"),
    (asyncssh.channel.SSHChannel, "write"),
    (asyncssh.channel.SSHChannel, "send_packet"),
    (asyncssh.channel.SSHChannel, "_flush_send_buf"),
    (asyncssh.channel.SSHChannel, "_accept_data"),
    (asyncssh.encryption.GCMEncryption, "encrypt_packet"),
    (asyncssh.encryption.GCMEncryption, "decrypt_packet"),
)


@cache
def is_known() -> bool:
    """May the fast path be used? When not, the log says so once."""
    why = _objection()
    if why:
        log.warning("the fast SSH path is off: %s", why)
    return not why


def _objection() -> str:
    expected = WRITTEN_FOR.get(asyncssh.__version__)
    if expected is None:
        return f"it was not written for asyncssh {asyncssh.__version__}"
    try:
        found = fingerprint()
    except (OSError, TypeError):
        return "asyncssh's files cannot be read"
    if found != expected:
        return f"this asyncssh {asyncssh.__version__} is not the one that was released"
    for owner, name in LEANED_ON:
        made_in = getattr(vars(owner).get(name), "__module__", None)
        if made_in != owner.__module__:
            return f"{owner.__name__}.{name} was replaced"
    return ""


def fingerprint() -> str:
    """SHA-256 over the files whose insides the fast path knows."""
    digest = hashlib.sha256()
    for module in MODULES:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
