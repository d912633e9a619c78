"""TLS to a PostgreSQL server: what `sslmode` demands, and the files that prove who is who."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

from broker.config.secrets import open_to_others
from broker.errors import TargetUnreachable

if TYPE_CHECKING:
    from pathlib import Path

    from broker.targets import PostgresTarget

ALPN = "postgresql"  # what a server that speaks TLS at once must agree to
_EXPIRED, _NOT_YET = 10, 9
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}
_Stamp = tuple[str, int, int]


def context_for(target: PostgresTarget, passphrase: str | None = None) -> ssl.SSLContext:
    """libpq's meaning of `sslmode`: ``require`` verifies when there is a root certificate.

    May read files: call it off the event loop. A client certificate is read anew each time, so
    that it can be renewed under a running broker.
    """
    verify = target.sslmode in {"verify-ca", "verify-full"}
    verify = verify or (target.sslmode == "require" and target.sslrootcert is not None)
    try:
        root = _stamp(target.sslrootcert) if target.sslrootcert is not None else None
        asked = (verify, target.sslmode == "verify-full", root)
        if target.sslcert is None or target.sslkey is None:
            return _verifying(*asked)
        context = _verifying.__wrapped__(*asked)  # of its own: a certificate stays in a context
    except OSError as error:
        msg = f"the file {target.sslrootcert} for TLS with {target.name} cannot be used"
        raise TargetUnreachable(msg) from error
    _add_certificate(context, target, target.sslcert, target.sslkey, passphrase)
    return context


def _add_certificate(
    context: ssl.SSLContext, target: PostgresTarget, cert: Path, key: Path, passphrase: str | None
) -> None:
    why = "cannot be read"
    try:
        if (problem := open_to_others(key)) is None:
            context.load_cert_chain(cert, key, lambda: passphrase or "")
            return
        why = f"is not used: {problem}"
    except ssl.SSLError as error:
        fits = error.reason != "KEY_VALUES_MISMATCH"
        why = "has a key with another passphrase" if fits else "does not fit its key"
    except (OSError, ValueError):
        pass
    msg = f"the client certificate for {target.name} {why}"
    raise TargetUnreachable(msg)


def _stamp(path: Path) -> _Stamp:
    """The file as it is now, so that a renewed one is read again."""
    found = path.stat()
    return str(path), found.st_mtime_ns, found.st_size


@lru_cache(maxsize=64)
def _verifying(verify: bool, name: bool, root: _Stamp | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    context.check_hostname = name
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if verify and root is not None:
        context.load_verify_locations(cafile=root[0])
    elif verify:
        context.load_default_certs()
    return context


def not_proven(target: PostgresTarget, host: str, error: ssl.SSLError) -> str:
    """Why the server's TLS is not accepted, or ours not by the server."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = (error.reason or "the handshake failed").replace("_", " ").lower()
        return f"TLS with {target.name} failed: {reason}"
    code = error.verify_code
    if code == _EXPIRED:
        why = "its certificate has expired"
    elif code == _NOT_YET:
        why = "its certificate is not valid yet"
    elif code in {_WRONG_NAME, _WRONG_ADDRESS}:
        why = f"its certificate is not for {host}"
    elif code in _UNKNOWN_AUTHORITY:
        why = "its certificate is of an authority that we do not trust"
    else:
        why = error.verify_message
    return f"{target.name} is not who it should be: {why}"
