"""One session's connection to an ssh target: made when it is needed, and again when it dropped."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate, decode_ssh_certificate

from broker.errors import InterlockError, TargetUnreachable
from broker.shell.ssh_channel import SshChannel
from broker.transport.adoption import CIPHERS, Fast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.console.client import Terminal
    from broker.shell.credentials import Credentials
    from broker.targets import SshTarget

LOGIN_TIMEOUT = 15.0  # seconds until the target must have let us in
ALIVE = 15.0  # seconds of silence before we ask whether the target is still there
ANSWER = 8192  # bytes of an answer to a line of our own

# Read back by a POSIX shell as `\'$` and a newline; a login shell that quotes otherwise (fish,
# csh) could read a judged command differently, so it is found out before the first one.
# A target's own greeting in its rc files is found out too: it would stand in every output.
PROBE = "printf '%s\\n' '\\'\\''$''\n!'; pwd -P; printf '%s\\n' ~"
PROBE_ANSWER = "\\'$\n!\n"

# What asyncssh says about a host key, and what we say.
HOST_KEY_TROUBLE = {
    "Certificate expired": "a host certificate that has expired",
    "Certificate not yet valid": "a host certificate that is not valid yet",
    "Certificate principal mismatch": "a host certificate for another name than {host}",
    "Invalid certificate type": "a certificate that is not a host's",
    "Host CA key is not trusted": "a host certificate of an authority that is not configured",
    "": "a host key that is not the configured one",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the target told us when we came: the directory of commands, and of ``~``."""

    start: str | None
    home: str | None


class Upstream:
    """The connection, checked to lead to the pinned host and to a POSIX shell."""

    def __init__(self, target: SshTarget, credentials: Credentials) -> None:
        self._target = target
        self._credentials = credentials
        self._connection: asyncssh.SSHClientConnection | None = None
        self._arrival = Arrival(None, None)
        self._made_again = False

    @property
    def name(self) -> str:
        """The target's."""
        return self._target.name

    def was_made_again(self) -> bool:
        """Did it drop, and was it made again, since this was last asked?"""
        made_again, self._made_again = self._made_again, False
        return made_again

    async def arrival(self) -> Arrival:
        """Connects if need be."""
        await self._connected()
        return self._arrival

    async def open(self, command: str, terminal: Terminal | None = None) -> SshChannel:
        """Start a command in a channel of its own.

        A connection that turns out to be gone is made again; but not once the target was asked
        to start the command, or it could run twice.
        """
        channel = SshChannel()
        with _connecting(self._target):
            connection = await self._connected()
            try:
                await channel.start(connection, command, terminal)
            except (OSError, asyncssh.Error):
                if channel.is_open or not connection.is_closed():
                    raise
                await channel.start(await self._connected(), command, terminal)
        return channel

    async def ask(self, command: str) -> bytes:
        """Run a line of our own in the connection that there is; the first bytes of its output."""
        return b"" if self._connection is None else await _asked(self._connection, command)

    async def close(self) -> None:
        """Leave; nothing of ours stays behind."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    async def _connected(self) -> asyncssh.SSHClientConnection:
        if self._connection is None or self._connection.is_closed():
            again = self._connection is not None
            with _connecting(self._target):
                connection = await self._connect()
                try:
                    async with asyncio.timeout(LOGIN_TIMEOUT):
                        self._arrival = self._checked(await _asked(connection, PROBE))
                except BaseException:
                    connection.abort()
                    raise
            self._connection = connection
            self._made_again = again
        return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        target = self._target
        hosts = [asyncssh.import_public_key(line) for line in target.host_keys]
        authorities = [asyncssh.import_public_key(line) for line in target.host_cas]
        if not hosts and not authorities:
            msg = f"target {target.name} has no host key; one must be configured"
            raise TargetUnreachable(msg)
        login = _Login(self._credentials)
        try:
            return await asyncssh.connect(
                target.host,
                target.port,
                username=target.user,
                config=None,
                client_factory=lambda: login,
                encryption_algs=CIPHERS,
                known_hosts=(hosts, authorities, []),
                client_keys=None,
                preferred_auth=self._credentials.methods,
                agent_path=None,
                agent_forwarding=False,
                x11_forwarding=False,
                x509_trusted_certs=None,
                gss_host=None,
                connect_timeout=LOGIN_TIMEOUT,
                login_timeout=LOGIN_TIMEOUT,
                keepalive_interval=ALIVE,
            )
        except asyncssh.PermissionDenied as error:
            if login.failure is not None:
                raise login.failure from error
            raise

    def _checked(self, answer: bytes) -> Arrival:
        """The login and the home directory, from a shell that reads quotes as we do."""
        text = answer.decode(errors="replace")
        if not text.startswith(PROBE_ANSWER):
            msg = f"target {self._target.name}: its login shell is not a POSIX shell, or greets"
            raise TargetUnreachable(msg)
        start, _, home = text.removeprefix(PROBE_ANSWER).removesuffix("\n").partition("\n")
        return Arrival(_directory(start), _directory(home))


class _Login(Fast):
    """Shows what opens the target when it is asked for: the host key has been proven by then."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self.failure: InterlockError | None = None
        self._credentials = credentials
        self._connection: asyncssh.SSHClientConnection | None = None
        self._shown: set[str] = set()  # each is shown once: a wrong password locks accounts

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        super().connection_made(conn)
        self._connection = conn
        check = conn.validate_server_host_key

        def stricter(key_data: bytes) -> asyncssh.SSHKey:
            """asyncssh takes a host certificate that names no host for one of every host."""
            with contextlib.suppress(asyncssh.KeyImportError):
                certificate = decode_ssh_certificate(key_data)
                if isinstance(certificate, SSHOpenSSHCertificate) and not certificate.principals:
                    raise asyncssh.HostKeyNotVerifiable("Certificate principal mismatch")
            return check(key_data)

        conn.validate_server_host_key = stricter  # type: ignore[method-assign]

    async def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKeyPair] | None:
        name = self._connection.get_extra_info("sockname") if self._connection else None
        if self._is_shown("key"):
            return None
        try:
            return await self._credentials.keys(str(name[0]) if name else None)
        except InterlockError as error:
            self.failure = error
            return None

    async def password_auth_requested(self) -> str | None:
        return None if self._is_shown("password") else await self._password()

    async def kbdint_auth_requested(self) -> str | None:
        return None if self._is_shown("answers") else ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """Answer one question that is not echoed: the password's. No other is for us."""
        if not prompts:
            return []
        if len(prompts) != 1 or prompts[0][1] or self._is_shown("answer"):
            return None
        password = await self._password()
        return None if password is None else [password]

    async def _password(self) -> str | None:
        try:
            return await self._credentials.password()
        except InterlockError as error:
            self.failure = error
            return None

    def _is_shown(self, what: str) -> bool:
        before = what in self._shown
        self._shown.add(what)
        return before


def _directory(told: str) -> str | None:
    return told if told.startswith("/") and told.isprintable() else None


async def _asked(connection: asyncssh.SSHClientConnection, command: str) -> bytes:
    channel = SshChannel()
    await channel.start(connection, command)
    answer = b""
    try:
        channel.write_eof()
        while len(answer) < ANSWER and (data := await channel.stdout.read(ANSWER)):
            answer += data
    finally:
        channel.close()
    return answer


@contextlib.contextmanager
def _connecting(target: SshTarget) -> Iterator[None]:
    """Tell what went wrong on the way to the target, in one sentence without secrets."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        reason = str(error.reason)
        shown = next(said for why, said in HOST_KEY_TROUBLE.items() if reason.startswith(why))
        msg = f"target {target.name} shows {shown.format(host=target.host)}"
        raise TargetUnreachable(msg) from error
    except (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost) as error:
        msg = f"target {target.name} hung up: too many logins at once, or no host key that we know"
        raise TargetUnreachable(msg) from error
    except asyncssh.PermissionDenied as error:
        kind = "password" if target.password is not None else "key"
        kind = kind if target.password or target.key else "certificate"
        msg = f"target {target.name} refuses our {kind} for {target.user}"
        raise TargetUnreachable(msg) from error
    except asyncssh.KeyImportError as error:
        msg = f"target {target.name}: a configured host key cannot be read"
        raise TargetUnreachable(msg) from error
    except asyncssh.ChannelOpenError as error:
        msg = f"target {target.name} refuses to start a command"
        raise TargetUnreachable(msg) from error
    except (OSError, asyncssh.Error) as error:
        msg = f"target {target.name} does not answer"
        raise TargetUnreachable(msg) from error
