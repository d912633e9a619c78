"""A PostgreSQL dsn, URI or keywords, read by libpq's own parser; strict about what it may hold."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from broker.identity.addresses import is_loopback

OPTIONS = (
    *("host", "port", "user", "dbname", "connect_timeout", "target_session_attrs"),
    *("sslmode", "sslnegotiation", "sslrootcert", "sslcert", "sslkey"),
    *("channel_binding", "require_auth", "gssencmode"),
)
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
ENCRYPTED_MODES = SSL_MODES[3:]
PROVING_MODES = SSL_MODES[4:]
METHODS = ("none", "password", "md5", "scram-sha-256")  # of logging in
CHOICES = {
    "sslmode": SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable",),  # we never use it, whatever is left out
    "target_session_attrs": (
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
}
DEFAULT_PORT = "5432"
LARGEST_PORT = 65535
LONGEST_TIMEOUT = 600
SECRETS = {"password": "password", "passfile": "password", "sslpassword": "sslpassword"}
HINTS = {
    "hostaddr": "write the address as host, or the name alone",
    "options": "the session's settings are fixed by the broker",
    "application_name": "the broker names the session itself",
    "service": "write what the service file says",
    "load_balance_hosts": "several hosts are tried in order",
}

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where a database is and how it is reached; the files are as written."""

    hosts: tuple[Address, ...]
    user: str
    dbname: str
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    sslnegotiation: str = "postgres"
    channel_binding: str = "prefer"
    methods: frozenset[str] = frozenset(METHODS)
    connect_timeout: int | None = None
    session_attrs: str = "any"


def dsn_problem(dsn: str) -> str | None:
    """What is wrong with a dsn, or None. The dsn itself is never repeated: it may hold a secret."""
    try:
        options = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    except psycopg.Error:
        return f"is not a libpq URI or keyword text; its options are {', '.join(OPTIONS)}"
    if held := sorted(options.keys() & SECRETS.keys()):
        key = SECRETS[held[0]]
        return f"a password does not belong in the dsn; use `{key}: {{env: NAME}}` beside it"
    if unknown := sorted(options.keys() - set(OPTIONS)):
        hint = HINTS.get(unknown[0], f"there are {', '.join(OPTIONS)}")
        return f"the option {unknown[0]} is not accepted; {hint}"
    if missing := [key for key in ("host", "user", "dbname") if not options.get(key)]:
        return f"{' and '.join(missing)} must be in it"
    return _value_problem(options) or _tls_problem(options)


def store_dsn_problem(dsn: str) -> str | None:
    """What is wrong with the store's dsn, which may say all that libpq knows."""
    try:
        options = conninfo_to_dict(dsn)
    except psycopg.Error:
        return "is not a libpq URI such as postgresql://USER@HOST:5432/DATABASE?sslmode=verify-full"
    if not (options.get("dbname") or options.get("service")):
        return "names no database: postgresql://USER@HOST:5432/DATABASE"
    if options.get("sslmode", "prefer") not in SSL_MODES:
        return f"sslmode must be one of {', '.join(SSL_MODES)}"
    return None


def store_warnings(dsn: str) -> list[str]:
    """What is accepted of a store's dsn and may still surprise, in sentences."""
    options = conninfo_to_dict(dsn)
    said = []
    if options.get("password"):
        said.append("its password is in this file; passfile=, PGPASSFILE or PGPASSWORD keep it out")
    mode, host = options.get("sslmode", "prefer"), str(options.get("host", ""))
    if host and not all(_is_local(one) for one in host.split(",")) and mode not in PROVING_MODES:
        said.append(f"sslmode={mode} does not prove which server answers")
    return said


def _is_local(host: str) -> bool:
    return host.startswith("/") or is_loopback(host)


def parse_dsn(dsn: str) -> Dsn:
    """The parts of a dsn that has no problem."""
    options = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    root = options.get("sslrootcert")
    seconds = int(options.get("connect_timeout", "0"))
    return Dsn(
        tuple(zip(options["host"].split(","), _ports(options), strict=True)),
        options["user"],
        options["dbname"],
        options.get("sslmode", "prefer"),
        None if root in ("", "system") else root,  # `system` is libpq's word for no file
        options.get("sslcert"),
        options.get("sslkey"),
        options.get("sslnegotiation", "postgres"),
        options.get("channel_binding", "prefer"),
        _methods(options.get("require_auth", "")),
        seconds if seconds > 0 else None,  # zero and less mean no limit of theirs, as in libpq
        options.get("target_session_attrs", "any"),
    )


def _value_problem(options: dict[str, str]) -> str | None:
    hosts, ports = options["host"].split(","), options.get("port", DEFAULT_PORT).split(",")
    if not all(hosts) or len(ports) not in {1, len(hosts)}:
        return f"names {len(ports)} ports for {sum(map(bool, hosts))} hosts"
    if not all(_is_number(port or DEFAULT_PORT, 1, LARGEST_PORT) for port in ports):
        return f"the port must be from 1 to {LARGEST_PORT}"
    for key, choices in CHOICES.items():
        if options.get(key, choices[0]) not in choices:
            return f"{key} must be one of {', '.join(choices)}"
    seconds = options.get("connect_timeout", "0").strip()
    if not _is_number(seconds.removeprefix("-"), 0, LONGEST_TIMEOUT):
        return f"connect_timeout must be seconds, {LONGEST_TIMEOUT} at most"
    if not _methods(options.get("require_auth", "")):
        return f"require_auth must be some of {', '.join(METHODS)}, all with a ! before or none"
    return None


def _tls_problem(options: dict[str, str]) -> str | None:
    """What would weaken TLS, or never be used, without anybody noticing."""
    mode = options.get("sslmode", "prefer")
    if ("sslcert" in options) != ("sslkey" in options):
        return "sslcert and sslkey belong together"
    if "sslcert" in options and mode not in ENCRYPTED_MODES:
        return f"a client certificate is for sslmode require and stricter, not {mode}"
    if options.get("sslrootcert") == "system" and mode != "verify-full":
        return "sslrootcert=system is for sslmode=verify-full: anybody can have such a certificate"
    if options.get("sslnegotiation") == "direct" and mode not in ENCRYPTED_MODES:
        return f"sslnegotiation=direct is for sslmode require and stricter, not {mode}"
    if options.get("channel_binding") == "require" and mode not in ENCRYPTED_MODES:
        return f"channel_binding=require is for sslmode require and stricter, not {mode}"
    return None


def _ports(options: dict[str, str]) -> list[int]:
    ports = options.get("port", DEFAULT_PORT).split(",")
    count = options["host"].count(",") + 1
    return [int(port or DEFAULT_PORT) for port in (ports * count if len(ports) == 1 else ports)]


def _methods(written: str) -> frozenset[str]:
    """The methods that `require_auth` leaves; none at all when it is not understood."""
    names = [name.strip() for name in written.split(",")] if written else []
    bare = {name.removeprefix("!") for name in names}
    refused = [name for name in names if name.startswith("!")]
    if not bare <= set(METHODS) or (refused and len(refused) < len(names)):
        return frozenset()
    return frozenset(METHODS) - bare if refused or not names else frozenset(bare)


def _is_number(text: str, least: int, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most
