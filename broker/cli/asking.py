"""Runs the stock ssh against `login@` of a broker: a token in, or nobody's; a certificate out."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from broker.errors import ExitCode, InterlockError, TargetUnreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SSH_FAILED = 255
NOT_US = (b"Permission denied", b"Host key verification failed")
FAREWELL = (b"Connection to ", b" closed.\n")  # ssh says it after every terminal
ANSWER_LIMIT = 64 * 1024


class LoginFailed(InterlockError):
    """The reason is on standard error already: ssh or the broker gave it."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("no certificate: the reason is above")
        self.code = code


def ask(
    *,
    host: str,
    port: int,
    key: Path,
    token: bytes,
    issuer: str | None,
    options: Sequence[str],
    narration: IO[bytes],
) -> bytes:
    """The broker's answer. Without a token `narration` gets an address and a code for a person.

    No configuration is read (`-F none`): it would run this program again. Raises LoginFailed.
    """
    argv = ["ssh", "-F", "none", "-p", str(port), "-i", str(key), "-o", "IdentitiesOnly=yes"]
    for option in options:
        argv += ["-o", option]
    argv += ["-T"] if token else ["-tt"]  # a terminal says: there is a person, and no token
    argv += ["-l", "login", "--", host]
    argv += [issuer] if issuer is not None and not token else []
    with tempfile.TemporaryFile() as answer:
        with _running(argv, answer, asks=bool(token)) as process:
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # ssh has ended already, and says why
                    process.stdin.write(token)
                    process.stdin.close()
            is_refused = _told(process.stderr, narration)
            code = process.wait()
        if code != 0:
            raise _failure(code, is_refused=is_refused)
        answer.seek(0)
        return answer.read(ANSWER_LIMIT)


def _failure(code: int, *, is_refused: bool) -> InterlockError:
    if code == SSH_FAILED and not is_refused:
        return TargetUnreachable("the broker cannot be reached: ssh's reason is above")
    if code == SSH_FAILED:
        return LoginFailed(ExitCode.DENIED)
    known = {int(each) for each in ExitCode} - {0}
    return LoginFailed(ExitCode(code) if code in known else ExitCode.FAULT)


def _told(stream: IO[bytes] | None, narration: IO[bytes]) -> bool:
    """Pass on what ssh and the broker say, as they say it; was it that we may not come in?"""
    is_refused = False
    for heard in stream or ():
        line = heard.replace(b"\r\n", b"\n")
        is_refused = is_refused or any(words in line for words in NOT_US)
        if not (line.startswith(FAREWELL[0]) and line.endswith(FAREWELL[1])):
            narration.write(line)
            narration.flush()
    return is_refused


@contextmanager
def _running(
    argv: Sequence[str], answer: IO[bytes], *, asks: bool
) -> Iterator[subprocess.Popen[bytes]]:
    """The program inside the block; Ctrl-C, or whatever else, ends it too."""
    given = subprocess.PIPE if asks else subprocess.DEVNULL
    try:
        process = subprocess.Popen(argv, stdin=given, stdout=answer, stderr=subprocess.PIPE)
    except FileNotFoundError:
        msg = "there is no ssh program here (OpenSSH's client)"
        raise UsageError(msg) from None
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
