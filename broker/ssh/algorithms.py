"""The algorithms of the front door, strongest first.

AES-GCM stands before chacha20-poly1305: it costs this process half the CPU on small packets. The
client's order wins, and OpenSSH puts chacha20 first though it has AES-GCM in every version of the
last ten years: so OpenSSH is offered AES-GCM alone, and chacha20 is kept for other clients that
may have nothing else. No finite-field Diffie-Hellman (28 ms of our CPU for a peer who has proven
nothing), no key exchange over the NIST curves (every client of the last ten years has curve25519),
no SHA-1, no CBC, no MACs without encrypt-then-mac.
"""

from __future__ import annotations

import re

KEY_EXCHANGE = [
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
]
ENCRYPTION = [
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
]


def encryption_for(client_version: bytes) -> list[bytes]:
    """The ciphers to offer a client that announced itself so (``SSH-2.0-OpenSSH_9.2``)."""
    names = [name.encode() for name in ENCRYPTION]
    return [n for n in names if b"gcm" in n] if b"OpenSSH" in client_version else names


MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]
SIGNATURES = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-512",
]


def any_name(client_version: bytes) -> tuple[str, ...]:
    """How a host certificate says "any name" to this client.

    OpenSSH before 10.3 takes an empty list for that and ``*`` for a literal name; from 10.3 on it
    refuses an empty list and reads ``*`` as a wildcard.
    """
    found = re.search(rb"OpenSSH_(\d+)\.(\d+)", client_version)
    wildcard = found is not None and (int(found[1]), int(found[2])) >= (10, 3)
    return ("*",) if wildcard else ()
