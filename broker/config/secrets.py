"""Reads a secret from where the configuration says, when it is needed, and keeps it out of sight.

`resolve` may block (a file, a program for up to ten seconds): call it off the event loop.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, final

from broker.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from broker.targets import SecretSource

SIZE_LIMIT = 64 * 1024
TIMEOUT_S = 10.0
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@final
class Secret:
    """A secret value that does not show itself in logs, errors or tracebacks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one who hands it over."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> str:
        msg = "a secret is not written anywhere"
        raise TypeError(msg)


def check(source: SecretSource, environ: Mapping[str, str]) -> str | None:
    """Why the secret cannot be had, or None. A program is looked for, but not run."""
    try:
        if source.command is not None:
            _program(source.command)
        else:
            resolve(source, environ)
    except InterlockError as error:
        return str(error)
    return None


def resolve(source: SecretSource, environ: Mapping[str, str]) -> Secret:
    """The secret, without the line end after it; InterlockError says why there is none."""
    if source.env is not None:
        return _checked(environ.get(source.env), f"the environment variable {source.env}")
    if source.file is not None:
        return _checked(_content(source.file), f"the file {source.file}")
    if source.command is not None:
        return _checked(_output(source.command), f"the program {source.command[0]}")
    msg = "a secret must have a source"
    raise InterlockError(msg)


def open_to_others(path: Path) -> str | None:
    """Why a private key file must not be used, or None: libpq's own rule for `sslkey`.

    Its owner alone may read it; when that is root, its group may too (a key of the system's).
    """
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0):
        return f"{path} belongs to another user (uid {found.st_uid}); it must be the broker's"
    allowed = 0o640 if found.st_uid == 0 else 0o600
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~(allowed | 0o100):
        return f"{path} is open to other users (mode {mode:04o}); chmod 600 {path}"
    return None


def _checked(value: str | None, where: str) -> Secret:
    if value is None:
        msg = f"{where} is not set"
        raise InterlockError(msg)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value or "\0" in value or len(value) > SIZE_LIMIT:
        msg = f"{where} gives no secret: it is empty, too long, or has a NUL in it"
        raise InterlockError(msg)
    return Secret(value)


def _content(path: Path) -> str:
    try:
        if not path.is_file():
            msg = f"the file {path} is not there, or is not a file"
            raise InterlockError(msg)
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT + 2).decode()
    except OSError as error:
        msg = f"the file {path} cannot be read: {error.strerror}"
        raise InterlockError(msg) from None
    except UnicodeDecodeError:
        msg = f"the file {path} is not UTF-8 text"
        raise InterlockError(msg) from None


def _output(command: tuple[str, ...]) -> str:
    """What a program prints; it gets no environment, no input, and no shell."""
    program = _program(command)
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it might say the secret
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"the program {command[0]} gave no secret within {TIMEOUT_S:.0f} s"
        raise InterlockError(msg) from None
    except OSError as error:
        msg = f"the program {command[0]} cannot be run: {error.strerror}"
        raise InterlockError(msg) from None
    if done.returncode != 0:
        msg = f"the program {command[0]} failed with status {done.returncode}"
        raise InterlockError(msg)
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        msg = f"the program {command[0]} printed something other than UTF-8 text"
        raise InterlockError(msg) from None


def _program(command: tuple[str, ...]) -> str:
    found = shutil.which(command[0], mode=os.F_OK | os.X_OK, path=PROGRAMS) if command else None
    if found is None:
        name = command[0] if command else ""
        msg = f"the program {name!r} is not in {PROGRAMS}, or cannot be run"
        raise InterlockError(msg)
    return found
