"""An OpenSSH server as a target: one connection a session, one channel a line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import asyncssh

from broker.errors import TargetUnreachable
from broker.shell.runner import copy_in, copy_out, one_error
from broker.shell.ssh_channel import SshChannel
from broker.transport.adoption import CIPHERS, Fast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from broker.console.client import Terminal
    from broker.shell.runner import Controls, Sink, Source
    from broker.targets import SshTarget

    Key = asyncssh.SSHKey | asyncssh.SSHKeyPair | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]
    Credentials = Callable[[], Sequence[Key]]

LOGIN_TIMEOUT = 15.0  # seconds until the target must have let us in
KILL_TIMEOUT = 5.0  # seconds that killing may take when a session ends
ANSWER = 8192  # bytes of an answer to a line of our own
HEAD = 32  # bytes of the line that holds a process number
SIGNALS = frozenset(["HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2"])
ALIVE = 15.0  # seconds of silence before we ask whether the target is still there

# Read back by a POSIX shell as `\'$` and a newline; a login shell that quotes otherwise (fish,
# csh) could read a judged command differently, so it is found out before the first one.
# A target's own greeting in its rc files is found out too: it would stand in every output.
PROBE = "printf '%s\\n' '\\'\\''$''\n!'; pwd -P; printf '%s\\n' ~"
PROBE_ANSWER = "\\'$\n!\n"


def key_file(path: Path) -> Credentials:
    """The configured private key; read when it is needed."""

    def read() -> Sequence[Key]:
        try:
            return [asyncssh.read_private_key(path)]
        except (OSError, asyncssh.KeyImportError) as error:
            msg = f"the key for the target cannot be read: {path}"
            raise TargetUnreachable(msg) from error

    return read


class SshRunner:
    """Runs the lines of one session of an `ssh` target."""

    has_shell = True

    def __init__(self, target: SshTarget, credentials: Credentials) -> None:
        self._target = target
        self._credentials = credentials
        self._connection: asyncssh.SSHClientConnection | None = None
        self._start: str | None = None
        self._home: str | None = None

    async def run(
        self,
        command: str,
        *,
        stdin: Source | None,
        stdout: Sink,
        stderr: Sink,
        terminal: Terminal | None,
        controls: Controls,
    ) -> int:
        """Run one line in a channel of its own."""
        connection = await self._connected()
        with _connecting(self._target.name):
            channel = await SshChannel.open(connection, f"echo $$; {command}", terminal)
        group = _Group(connection, channel, stdout)
        try:
            with (
                _running(self._target.name),
                one_error(),
                controls.attached(channel.resize, group.names.put_nowait),
            ):
                async with asyncio.TaskGroup() as tasks:
                    outputs = [tasks.create_task(copy_out(channel.stdout, group))]
                    outputs.append(tasks.create_task(copy_out(channel.stderr, stderr)))
                    helpers = [tasks.create_task(group.feed(stdin))]
                    helpers.append(tasks.create_task(group.pass_signals()))
                    await asyncio.wait(outputs)
                    await channel.closed.wait()
                    for helper in helpers:
                        helper.cancel()
        finally:
            await group.end()
        return self._status(channel, started=group.started)

    async def where(self) -> str | None:
        """The login directory: the target told it when we connected."""
        await self._connected()
        return self._start

    async def home(self) -> str | None:
        """The target told it, too."""
        await self._connected()
        return self._home

    async def close(self) -> None:
        """Leave; nothing of ours stays behind."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    async def _connected(self) -> asyncssh.SSHClientConnection:
        if self._connection is None or self._connection.is_closed():
            with _connecting(self._target.name):
                connection = await self._connect()
                try:
                    async with asyncio.timeout(LOGIN_TIMEOUT):
                        self._start, self._home = self._checked(await _asked(connection, PROBE))
                except BaseException:
                    connection.abort()
                    raise
            self._connection = connection
        return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        target = self._target
        hosts = [asyncssh.import_public_key(line) for line in target.host_keys]
        authorities = [asyncssh.import_public_key(line) for line in target.host_cas]
        if not hosts and not authorities:
            msg = f"target {target.name} has no host key; one must be configured"
            raise TargetUnreachable(msg)
        return await asyncssh.connect(
            target.host,
            target.port,
            client_factory=Fast,
            encryption_algs=CIPHERS,
            username=target.user,
            config=None,
            known_hosts=(hosts, authorities, []),
            client_keys=list(self._credentials()),
            preferred_auth="publickey",
            password=None,
            agent_path=None,
            agent_forwarding=False,
            x11_forwarding=False,
            x509_trusted_certs=None,
            gss_host=None,
            connect_timeout=LOGIN_TIMEOUT,
            login_timeout=LOGIN_TIMEOUT,
            keepalive_interval=ALIVE,
        )

    def _checked(self, answer: bytes) -> tuple[str | None, str | None]:
        """The login and the home directory, from a shell that reads quotes as we do."""
        text = answer.decode(errors="replace")
        if not text.startswith(PROBE_ANSWER):
            msg = f"target {self._target.name}: its login shell is not a POSIX shell, or greets"
            raise TargetUnreachable(msg)
        start, _, home = text.removeprefix(PROBE_ANSWER).removesuffix("\n").partition("\n")
        return _directory(start), _directory(home)

    def _status(self, channel: SshChannel, *, started: bool) -> int:
        if channel.exit_signal is not None:
            number = getattr(signal, f"SIG{channel.exit_signal}", 0)
            return 128 + int(number)
        if channel.exit_status is None:
            msg = f"target {self._target.name} was lost while the command ran"
            raise TargetUnreachable(msg)
        if not started:
            msg = f"target {self._target.name} did not start the command as asked"
            raise TargetUnreachable(msg)
        return channel.exit_status


def _directory(told: str) -> str | None:
    return told if told.startswith("/") and told.isprintable() else None


async def _asked(connection: asyncssh.SSHClientConnection, command: str) -> bytes:
    """Run a line of our own to its end; the first bytes of its output."""
    channel = await SshChannel.open(connection, command)
    answer = b""
    try:
        channel.write_eof()
        while len(answer) < ANSWER and (data := await channel.stdout.read(ANSWER)):
            answer += data
    finally:
        channel.close()
    return answer


class _Group:
    """The process group of one command on the target, so that it can be signalled and killed.

    sshd passes signals on only for some users, and leaves what has no terminal running when its
    channel closes. So the command's shell, the leader of its group, says its number first; that
    line is taken off the output here, and `kill` runs in a channel beside it.
    """

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        channel: SshChannel,
        sink: Sink,
    ) -> None:
        self.names: asyncio.Queue[str] = asyncio.Queue()
        self._connection = connection
        self._channel = channel
        self._sink = sink
        self._head: bytes | None = b""
        self._leader = asyncio.Event()
        self._pid = ""

    @property
    def started(self) -> bool:
        """Did the first line come?"""
        return self._leader.is_set()

    async def __call__(self, data: bytes, /) -> None:
        """The command's output, without its first line."""
        if self._head is None:
            await self._sink(data)
            return
        line, newline, rest = (self._head + data).partition(b"\n")
        self._head = line if len(line) <= HEAD else None
        if newline:
            self._head = None
            self._pid = line.strip().decode("ascii", "replace")
            self._leader.set()
        if self._head is None and not (self._pid.isascii() and self._pid.isdigit()):
            msg = "the target did not start the command as asked"
            raise TargetUnreachable(msg)
        if rest:
            await self._sink(rest)

    async def feed(self, stdin: Source | None) -> None:
        """The command's input: not before its first line, or a terminal's echo stands there."""
        await self._leader.wait()
        if stdin is not None:
            await copy_in(stdin, self._channel)
        else:
            with contextlib.suppress(OSError):
                self._channel.write_eof()

    async def pass_signals(self) -> None:
        """Hand on what the client sends, in order."""
        await self._leader.wait()
        while True:
            name = await self.names.get()
            if name in SIGNALS:
                await self._kill(name)

    async def end(self) -> None:
        """Kill what may still run, and close its channel."""
        channel = self._channel
        if channel.exit_status is None and channel.exit_signal is None and self._pid:
            with contextlib.suppress(OSError, asyncssh.Error):
                async with asyncio.timeout(KILL_TIMEOUT):
                    await self._kill("KILL")
        channel.close()

    async def _kill(self, name: str) -> None:
        await _asked(self._connection, f"kill -s {name} -- -{self._pid}")


@contextlib.contextmanager
def _connecting(name: str) -> Iterator[None]:
    """Tell what went wrong on the way to the target, in one sentence without secrets."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        msg = f"target {name} shows a host key that is not the configured one"
        raise TargetUnreachable(msg) from error
    except (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost) as error:
        msg = f"target {name} hung up: too many logins at once, or no host key of a configured kind"
        raise TargetUnreachable(msg) from error
    except asyncssh.PermissionDenied as error:
        msg = f"target {name} refuses our key or certificate"
        raise TargetUnreachable(msg) from error
    except asyncssh.KeyImportError as error:
        msg = f"target {name}: a configured host key cannot be read"
        raise TargetUnreachable(msg) from error
    except (OSError, asyncssh.Error) as error:
        msg = f"target {name} does not answer"
        raise TargetUnreachable(msg) from error


@contextlib.contextmanager
def _running(name: str) -> Iterator[None]:
    """As above while a command runs; an OSError may be the client's then, and stays one."""
    try:
        yield
    except asyncssh.Error as error:
        msg = f"target {name} was lost while the command ran"
        raise TargetUnreachable(msg) from error
