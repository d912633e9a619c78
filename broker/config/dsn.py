"""A PostgreSQL dsn, URI or keywords, read by libpq's own parser; strict about what it may hold."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from broker.identity.addresses import is_loopback

OPTIONS = ("host", "port", "user", "dbname", "sslmode", "sslrootcert")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PROVING_MODES = ("verify-ca", "verify-full")
LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where a database is; `sslrootcert` is as written."""

    host: str
    port: int
    user: str
    dbname: str
    sslmode: str
    sslrootcert: str | None


def dsn_problem(dsn: str) -> str | None:
    """What is wrong with a dsn, or None. The dsn itself is never repeated: it may hold a secret."""
    try:
        options = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    except psycopg.Error:
        return f"is not a libpq URI or keyword text; its options are {', '.join(OPTIONS)}"
    if "password" in options or "passfile" in options:
        return "a password does not belong in the dsn; use `password: {env: NAME}` beside it"
    if unknown := sorted(options.keys() - set(OPTIONS)):
        return f"the option {unknown[0]} is not accepted; there are {', '.join(OPTIONS)}"
    if missing := [key for key in ("host", "user", "dbname") if not options.get(key)]:
        return f"{' and '.join(missing)} must be in it"
    return _value_problem(options)


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
    return Dsn(
        options["host"],
        int(options.get("port", "5432")),
        options["user"],
        options["dbname"],
        options.get("sslmode", "prefer"),
        options.get("sslrootcert"),
    )


def _value_problem(options: dict[str, str]) -> str | None:
    if "," in options["host"]:
        return "names several hosts; one target is one server"
    port = options.get("port", "5432")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= LARGEST_PORT):
        return f"the port must be from 1 to {LARGEST_PORT}"
    if options.get("sslmode", "prefer") not in SSL_MODES:
        return f"sslmode must be one of {', '.join(SSL_MODES)}"
    return None
