"""The `targets:` section as Target values; what they need from this machine is looked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config import secrets
from broker.config.dsn import parse_dsn
from broker.targets import (
    TIMEOUTS,
    CommandTarget,
    PostgresTarget,
    SecretSource,
    SessionRole,
    SshTarget,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from broker.config.shapes import Fields
    from broker.config.source import Problems
    from broker.targets import Target


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the file lies, and the environment that its secrets come from."""

    folder: Path
    environ: Mapping[str, str] | None
    problems: Problems

    def path(self, written: str) -> Path:
        """A path as it is meant: relative to the file."""
        return Path(os.path.normpath(self.folder / written))

    def readable(self, written: str, line: int, where: str, *, private: bool = False) -> Path:
        """A file that must be there now; a `private` one must be closed to others."""
        path = self.path(written)
        if not path.is_file() or not os.access(path, os.R_OK):
            self.problems.add(line, f"{where}: the file {path} is not there or cannot be read")
        elif private and (problem := secrets.open_to_others(path)):
            self.problems.add(line, f"{where}: {problem}")
        return path

    def secret(self, fields: Fields) -> SecretSource:
        """A secret's source, after it was seen to give one."""
        command = fields.get("command")
        if command is not None and "/" in command[0]:
            command = (str(self.path(command[0])), *command[1:])
        file = self.path(fields["file"]) if "file" in fields else None
        source = SecretSource(env=fields.get("env"), file=file, command=command)
        if self.environ is None:
            return source
        if problem := secrets.check(source, self.environ):
            self.problems.add(fields.line, f"{fields.path}: {problem}")
        return source


def make_targets(entries: Mapping[str, Fields], around: Surroundings) -> dict[str, Target]:
    """Every whole entry, by name."""
    make = {"postgres": _postgres, "ssh": _ssh, "command": _command}
    return {
        name: make[entry["kind"]](name, entry, around)
        for name, entry in entries.items()
        if entry.whole
    }


def _postgres(name: str, entry: Fields, around: Surroundings) -> Target:
    dsn = parse_dsn(entry["dsn"])

    def file(option: str, written: str | None) -> Path | None:
        if written is None:
            return None
        return around.readable(
            written, entry.line_of("dsn"), f"{entry.path}.dsn: {option}", private=option == "sslkey"
        )

    (host, port), *fallbacks = dsn.hosts
    return PostgresTarget(
        name,
        host,
        port,
        dsn.user,
        dsn.dbname,
        dsn.sslmode,
        file("sslrootcert", dsn.sslrootcert),
        around.secret(entry["password"]) if "password" in entry else None,
        fallbacks=tuple(fallbacks),
        sslcert=file("sslcert", dsn.sslcert),
        sslkey=file("sslkey", dsn.sslkey),
        sslpassword=around.secret(entry["sslpassword"]) if "sslpassword" in entry else None,
        sslnegotiation=dsn.sslnegotiation,
        channel_binding=dsn.channel_binding,
        methods=dsn.methods,
        connect_timeout=dsn.connect_timeout,
        session_attrs=dsn.session_attrs,
        settings=_timeouts(entry.get("timeouts", {})),
        role=_role(entry["role"]) if "role" in entry else None,
    )


def _timeouts(written: Mapping[str, timedelta]) -> dict[str, str]:
    """The settings of PostgreSQL; its own word for no limit is zero."""
    names = {"idle_in_transaction": "idle_in_transaction_session_timeout"}
    return TIMEOUTS | {
        names.get(name, f"{name}_timeout"): str(int(limit.total_seconds() * 1000))
        for name, limit in written.items()
    }


def _role(entry: Fields) -> SessionRole:
    kept = entry.get("owned", "keep") == "keep"
    return SessionRole(entry["in"], entry.get("limit", 2), kept)


def _ssh(name: str, entry: Fields, around: Surroundings) -> Target:
    if "host_key" not in entry and "host_ca" not in entry:
        around.problems.add(
            entry.line, f"{entry.path}: host_key or host_ca is needed, or it could be any server"
        )
    key = None
    if "key" in entry:
        key = around.readable(entry["key"], entry.line_of("key"), f"{entry.path}.key")
    _check_credentials(entry, around)
    return SshTarget(
        name,
        host=entry["host"],
        port=entry.get("port", 22),
        user=entry["user"],
        host_keys=entry.get("host_key", ()),
        host_cas=entry.get("host_ca", ()),
        key=key,
        passphrase=around.secret(entry["passphrase"]) if "passphrase" in entry else None,
        password=around.secret(entry["password"]) if "password" in entry else None,
        source_address=entry.get("source_address", ()),
    )


def _check_credentials(entry: Fields, around: Surroundings) -> None:
    """Keys that would be read and never used are mistakes."""
    if "passphrase" in entry and "key" not in entry:
        around.problems.add(entry.line_of("passphrase"), f"{entry.path}: passphrase needs a key")
    if "source_address" not in entry:
        return
    line = entry.line_of("source_address")
    if "key" in entry or "password" in entry:
        said = "source_address is for certificates, and this target has a key or a password"
        around.problems.add(line, f"{entry.path}: {said}")
    elif "any" in entry["source_address"] and len(entry["source_address"]) > 1:
        around.problems.add(line, f"{entry.path}: source_address is `any` or networks, not both")


def _command(name: str, entry: Fields, around: Surroundings) -> Target:
    environment = {
        variable: value if isinstance(value, str) else around.secret(value)
        for variable, value in entry.get("env", {}).items()
    }
    return CommandTarget(
        name,
        argv=entry["argv"],
        cwd=around.path(entry["cwd"]) if "cwd" in entry else None,
        env=environment,
        user=entry.get("user"),
        shell=entry.get("shell", "lines"),
    )
