"""`interlock login`: a certificate by the stock ssh, kept beside the key and renewed by itself.

It asks the broker as anybody can (`ssh login@HOST`), with a token or by a person's browser. What
it adds is care: the right key, a file that is replaced only by a certificate for that key, and a
block in ssh_config that runs `interlock login --renew`, which is silent while there is time left.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from broker.cli import ssh_config, whole_file
from broker.cli.asking import ask
from broker.errors import Denied, ExitCode, InterlockError, UsageError
from broker.identity import held

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

PORT = 2222
PORTS = range(1, 65536)
ADDRESS = re.compile(r"(?P<host>\w[\w.-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?", re.ASCII)
KEYS = ("id_ed25519", "id_ecdsa", "id_ed25519_sk", "id_ecdsa_sk")  # not RSA: slow, and large
TOKEN_LIMIT = 16 * 1024
TERMINAL = "/dev/tty"
NAME = re.compile(r"[\w.@][\w.@+-]*", re.ASCII)
FILE_LIMIT = 256 * 1024  # no key or certificate is longer


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    login = commands.add_parser(
        "login",
        help="get a certificate from a broker, and let ssh renew it by itself",
        description="Logs in at a broker with the stock ssh: by a token (--token FILE, or piped), "
        "or by a browser. Keeps the certificate beside the key, and a block in ssh_config.",
    )
    login.add_argument("address", metavar="HOST[:PORT]", help=f"the broker (port {PORT})")
    login.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="default: the first in ~/.ssh that is not RSA; made when there is none",
    )
    login.add_argument(
        "--token", metavar="FILE", help="an ID token, read again at each renewal; - is piped"
    )
    login.add_argument("--issuer", metavar="NAME", help="where to log in, when there are several")
    login.add_argument(
        "-o",
        dest="options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting for ssh, such as ProxyJump=bastion; kept in the block too",
    )
    login.add_argument(
        "--config",
        type=Path,
        default=Path("~/.ssh/config"),
        metavar="FILE",
        help="the ssh_config that gets the block (default: ~/.ssh/config)",
    )
    way = login.add_mutually_exclusive_group()
    way.add_argument("--no-config", action="store_true", help="leave ssh_config alone")
    way.add_argument("--print", action="store_true", help="print the block, and do nothing")
    way.add_argument(
        "--renew",
        action="store_true",
        help="only when the certificate is missing or about to end; for ssh_config",
    )
    login.set_defaults(run=run)


def run(words: argparse.Namespace) -> int:
    """Log in, unless it is not needed; then tell ssh."""
    host, port = _place(words.address)
    if words.issuer is not None and not NAME.fullmatch(words.issuer):
        msg = f"{words.issuer!r} is no name of an issuer"
        raise UsageError(msg)
    login = _Login(
        host=host,
        port=port,
        key=_chosen(words.key),
        token=words.token,
        issuer=words.issuer,
        options=tuple(words.options),
    )
    block = login.block()
    if not words.no_config:
        str(block)  # what ssh_config cannot hold is told before anybody logs in
    if words.print:
        print(block, end="")
        return ExitCode.OK
    if words.renew:
        return login.renewed()
    try:
        login.new()
    except KeyboardInterrupt:
        _say("the login was given up; nothing was changed")
        raise
    if not words.no_config:
        file = words.config.expanduser()
        changed = ssh_config.install(block, file)
        _say(f"ssh renews it by itself: {file} {'was changed' if changed else 'says so already'}")
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Login:
    """One person, one broker, one key."""

    host: str
    port: int
    key: Path
    token: str | None
    issuer: str | None
    options: tuple[str, ...]

    @property
    def certificate(self) -> Path:
        """Where ssh looks for it by itself."""
        return self.key.with_name(f"{self.key.name}-cert.pub")

    def block(self) -> ssh_config.Block:
        """What ssh is told. A token that was piped cannot be had again."""
        renew = [*_ourselves(), "login", "--renew", "--key", str(self.key)]
        if self.token not in {None, "-"}:
            renew += ["--token", str(Path(str(self.token)).expanduser().absolute())]
        if self.issuer is not None:
            renew += ["--issuer", self.issuer]
        for option in self.options:
            renew += ["-o", option]
        host = f"[{self.host}]" if ":" in self.host else self.host
        renew.append(f"{host}:{self.port}")
        return ssh_config.Block(
            self.host, self.port, self.key, self.certificate, renew, self.options
        )

    def renewed(self) -> int:
        """Nothing, when the certificate is good; else a login, if there is anybody for it."""
        if self._good():
            return ExitCode.OK
        if self.token is None and not _anybody():
            msg = (
                f"the certificate for {self.host} has ended, and there is no terminal to log in "
                f"from; run: interlock login {self.host}:{self.port}"
            )
            raise UsageError(msg)
        with _alone(self.key.parent):
            if not self._good():  # another ssh may have renewed it while we waited
                token = _token(self.token) if self.token is not None else b""
                with _a_persons_eyes() as shown:
                    self._fetch(token, shown)
        return ExitCode.OK

    def new(self) -> None:
        """A new certificate, whatever there was."""
        token = _token(self.token) if self.token is not None else _piped()
        _make(self.key)
        with _alone(self.key.parent):
            self._fetch(token, sys.stderr.buffer)
        _say(f"the certificate is {self.certificate}")

    def _good(self) -> bool:
        kept = self._kept()
        return kept is not None and kept.ours and kept.key == self._key() and kept.good(time.time())

    def _kept(self) -> held.Held | None:
        return held.read(_text(self.certificate))

    def _key(self) -> bytes:
        return held.public(_text(self.key.with_name(f"{self.key.name}.pub")))

    def _fetch(self, token: bytes, narration: IO[bytes]) -> None:
        """Ask the broker. What is there is replaced by a certificate for this key alone."""
        kept = self._kept()
        if self.certificate.exists() and (kept is None or not kept.ours):
            msg = f"{self.certificate} is not from a broker like this; use another key: --key FILE"
            raise UsageError(msg)
        line = ask(
            host=self.host,
            port=self.port,
            key=self.key,
            token=token,
            issuer=self.issuer,
            options=self.options,
            narration=narration,
        )
        made = held.read(line.decode("ascii", "replace"))
        if made is None or not made.ours:
            msg = f"{self.host} did not answer with a certificate; is it a broker?"
            raise InterlockError(msg)
        if (key := self._key()) and made.key != key:
            msg = f"{self.host} answered with a certificate for another key; nothing was kept"
            raise Denied(msg)
        whole_file.write(self.certificate, line, 0o644)


def _place(address: str) -> tuple[str, int]:
    found = ADDRESS.fullmatch(address)
    if found is None or int(found["port"] or PORT) not in PORTS:
        msg = f"{address!r} is no HOST or HOST:PORT"
        raise UsageError(msg)
    return found["host"].strip("[]"), int(found["port"] or PORT)


# -- the key -----------------------------------------------------------------------------------


def _chosen(given: Path | None) -> Path:
    if given is not None:
        given = given.with_suffix("") if given.suffix == ".pub" else given
        return Path(os.path.abspath(given.expanduser()))  # noqa: PTH100 - resolve() would follow links
    folder = Path.home() / ".ssh"
    return next((folder / name for name in KEYS if (folder / name).exists()), folder / KEYS[0])


def _make(key: Path) -> None:
    """A new key where there is none; its public half alone is enough, with an ssh-agent."""
    public = key.with_name(f"{key.name}.pub")
    if key.exists() or public.exists():
        return
    key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    ran = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        msg = (
            f"ssh-keygen could not make {key}: {' '.join(ran.stderr.split()) or 'no reason given'}"
        )
        raise InterlockError(msg)
    _say(f"made a new key, without a passphrase: {key}")


# -- the token ---------------------------------------------------------------------------------


def _token(file: str) -> bytes:
    if file == "-":
        return _whole(sys.stdin.buffer.read(TOKEN_LIMIT + 1), "standard input")
    with Path(file).expanduser().open("rb") as opened:
        return _whole(opened.read(TOKEN_LIMIT + 1), file)


def _piped() -> bytes:
    """The token on standard input; none when that is a terminal, or nothing."""
    with suppress(OSError, ValueError):
        mode = os.fstat(sys.stdin.fileno()).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISREG(mode):
            return _token("-")
    return b""


def _whole(data: bytes, where: str) -> bytes:
    token = data.strip()
    if not token:
        msg = f"there is no ID token in {where}: it is empty"
        raise UsageError(msg)
    if len(data) > TOKEN_LIMIT:
        msg = f"{where} is too long for an ID token ({TOKEN_LIMIT} bytes at most)"
        raise UsageError(msg)
    return token


# -- the machine -------------------------------------------------------------------------------


def _anybody() -> bool:
    """Is there a terminal that a person may look at?"""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextmanager
def _a_persons_eyes() -> Iterator[IO[bytes]]:
    """Standard error; the terminal when that leads elsewhere, for ssh runs with `2>/dev/null`."""
    number = -1
    if not sys.stderr.isatty():
        with suppress(OSError):
            number = os.open(TERMINAL, os.O_WRONLY | os.O_NOCTTY)
    if number == -1:
        yield sys.stderr.buffer
        return
    with os.fdopen(number, "wb") as terminal:
        yield terminal


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(FILE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""


def _ourselves() -> list[str]:
    """This program, as another shell can run it."""
    own = Path(sys.argv[0])
    if own.name == "interlock" and (found := shutil.which(str(own))):
        return [os.path.abspath(found)]  # noqa: PTH100 - a link to a versioned folder stays one
    return [sys.executable, "-m", "broker"]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One login at a time: ten ssh that begin together ask a person once."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"another login with a key in {folder} is under way; waiting for it")
            fcntl.flock(number, fcntl.LOCK_EX)
        except OSError:
            pass  # a folder of the network may know no locks
        yield
    finally:
        os.close(number)


def _say(text: str) -> None:
    print(f"interlock: {text}", file=sys.stderr)
