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


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A PostgreSQL database; `sslmode` is libpq's, ``disable`` to ``verify-full``."""

    name: str
    host: str
    port: int
    user: str
    dbname: str
    sslmode: str = "prefer"
    sslrootcert: Path | None = None
    password: SecretSource | None = None

    kind = "postgres"


@dataclass(frozen=True, slots=True)
class SshTarget:
    """An OpenSSH server. `host_keys` and `host_cas` are OpenSSH public key lines; one must match.

    Without `key` we sign a certificate for each session with the target CA.
    """

    name: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...] = ()
    host_cas: tuple[str, ...] = ()
    key: Path | None = None
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
