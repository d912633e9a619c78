"""What stands behind the broker: one frozen value for each kind of target, as configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from broker.model import Language, Statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret is read from, at the time it is needed: exactly one of the three is set.

    A literal secret cannot be written in the configuration; `repr` shows the source, never a value.
    """

    env: str | None = None
    file: Path | None = None
    command: tuple[str, ...] | None = None


TIMEOUTS = {
    "statement_timeout": "3600000",
    "lock_timeout": "60000",
    "idle_in_transaction_session_timeout": "1800000",  # a review may wait within a transaction
}
"""What a session of a PostgreSQL target may take, in milliseconds; zero is no limit."""


@dataclass(frozen=True, slots=True)
class SessionRole:
    """A role of the target's own for each session: made at its start, dropped at its end.

    It is a member of the roles in `member_of`, and what it has made at the end is theirs (the
    first's) when `keep` says so, and gone otherwise. `limit` is of its connections.
    """

    member_of: tuple[str, ...]
    limit: int = 2
    keep: bool = True


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A PostgreSQL database; `sslmode` is libpq's, ``disable`` to ``verify-full``.

    `host` and `port` are tried first, then the `fallbacks` in order, until one is as
    `session_attrs` (libpq's target_session_attrs) wants it. `methods` are those of logging in that
    may be used; `settings` are those of every session beside what is always pinned.
    """

    name: str
    host: str
    port: int
    user: str
    dbname: str
    sslmode: str = "prefer"
    sslrootcert: Path | None = None
    password: SecretSource | None = None
    fallbacks: tuple[tuple[str, int], ...] = ()
    sslcert: Path | None = None
    sslkey: Path | None = None
    sslpassword: SecretSource | None = None
    sslnegotiation: str = "postgres"
    channel_binding: str = "prefer"
    methods: frozenset[str] = frozenset({"none", "password", "md5", "scram-sha-256"})
    connect_timeout: int | None = None
    session_attrs: str = "any"
    settings: Mapping[str, str] = field(default_factory=lambda: dict(TIMEOUTS))
    role: SessionRole | None = None

    kind = "postgres"

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Every server that may be it, in the order in which they are tried."""
        return ((self.host, self.port), *self.fallbacks)


@dataclass(frozen=True, slots=True)
class SshTarget:
    """An OpenSSH server. `host_keys` and `host_cas` are OpenSSH public key lines; one must match.

    Without `key` and `password` we sign a certificate for each session with the target CA, good
    from `source_address` alone: networks, or ``any``; none means the address that we connect from.
    """

    name: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...] = ()
    host_cas: tuple[str, ...] = ()
    key: Path | None = None
    passphrase: SecretSource | None = None
    password: SecretSource | None = None
    source_address: tuple[str, ...] = ()
    shell: str = "lines"

    kind = "ssh"


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A local program. `shell` is ``lines`` (judged by the shell grammar) or ``patterns``."""

    name: str
    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str | SecretSource] = field(default_factory=dict)
    user: str | None = None
    shell: str = "lines"

    kind = "command"


Target: TypeAlias = PostgresTarget | SshTarget | CommandTarget


def statement_for(target: Target, text: str) -> Statement:
    """What a text means on this target: SQL, a command line in the root folder, or just text."""
    if isinstance(target, PostgresTarget):
        return Statement(Language.SQL, text)
    if target.shell == "patterns":
        return Statement(Language.TEXT, text)
    return Statement(Language.SHELL, text, cwd="/")
