"""How a session runs one judged command on its target, wherever that is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from broker.errors import EvidenceFailure, InterlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from broker.console.client import Terminal

CHUNK = 64 * 1024  # bytes in one read: small enough to be fair to other sessions


class Source(Protocol):
    """Where a program's input comes from; a `Client` is one."""

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end. Cancelling loses nothing."""


class Sink(Protocol):
    """Where a program's output goes."""

    async def __call__(self, data: bytes, /) -> None:
        """Returns when more may come: the program waits while its reader does."""


class Runner(Protocol):
    """One session's way to its target. Lines run one after another."""

    @property
    def has_shell(self) -> bool:
        """Does a POSIX shell read the command? Otherwise it is one program's words."""

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
        """Run one command to its end: its exit status, or 128 and the number of its signal.

        With a terminal, stderr is in stdout. Cancelling kills it. Raises TargetUnreachable.
        """

    async def where(self) -> str | None:
        """The directory in which commands start, when it can be known."""

    async def home(self) -> str | None:
        """What its shell takes ``~`` for, when that can be known."""

    async def close(self) -> None:
        """Leave the target."""


class Controls:
    """What reaches a running program besides its input: signals and window changes."""

    def __init__(self) -> None:
        self._resize: Callable[[Terminal], None] | None = None
        self._signal: Callable[[str], None] | None = None
        self._pending: list[str] = []

    @contextmanager
    def attached(
        self, resize: Callable[[Terminal], None] | None, signal: Callable[[str], None]
    ) -> Iterator[None]:
        """A program takes them, for as long as it runs; a signal that came first is delivered."""
        self._resize, self._signal = resize, signal
        pending, self._pending = self._pending, []
        try:
            for name in pending:
                signal(name)
            yield
        finally:
            self._resize = self._signal = None

    def resize(self, terminal: Terminal) -> None:
        """The client's window changed."""
        if self._resize is not None:
            self._resize(terminal)

    def signal(self, name: str) -> None:
        """The client sent a signal: ``INT``, ``TERM``..."""
        if self._signal is not None:
            self._signal(name)
        elif len(self._pending) < 8:
            self._pending.append(name)


class Reader(Protocol):
    """The reading end of a program's output."""

    async def read(self, n: int, /) -> bytes:
        """Up to `n` bytes, ``b""`` at the end."""


class Writer(Protocol):
    """The writing end of a program's input."""

    def write(self, data: bytes, /) -> None:
        """Queue bytes."""

    async def drain(self) -> None:
        """Wait until the program has taken most of them."""

    def write_eof(self) -> None:
        """No more comes."""


async def copy_out(reader: Reader, sink: Sink) -> None:
    """A program's output, as fast as its reader takes it."""
    while data := await reader.read(CHUNK):
        await sink(data)


async def copy_in(source: Source, writer: Writer) -> None:
    """A program's input, as fast as it takes it; ends early when it takes no more."""
    more = True
    while more:
        data = await source.read()  # its ConnectionError is the client's, and must be seen
        more = bool(data)
        try:
            if data:
                writer.write(data)
                await writer.drain()
            else:
                writer.write_eof()
        except OSError:
            return


@contextmanager
def one_error() -> Iterator[None]:
    """Out of a group of errors the one that matters: evidence first, then what we mean to tell."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        for kind in (EvidenceFailure, InterlockError, ConnectionError):
            for leaf in leaves:
                if isinstance(leaf, kind):
                    raise leaf from group
        raise leaves[0] from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
