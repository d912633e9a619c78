"""psql's output on its way back: through the gate, then to the client."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from broker.errors import InterlockError
from broker.model import Answer, Language, Statement, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.console.client import Client
    from broker.gate import Gate, Stream

_OURS = (
    b"ERROR:  interlock: denied by ",
    b"ERROR:  interlock: not understood, ",
    b"ERROR:  interlock: not sent: ",
    b"ERROR:  interlock: undone: ",
    b"NOTICE:  interlock: waiting for approval ",
)
_BELONGS = (b"DETAIL:", b"HINT:", b"LINE ", b" ", b"\t")
LINE_LIMIT = 65536


class Delivery:
    """Standard output and errors of one psql, without its words about refusals and waits.

    The gate tells those (`Gate.told`), and it names people whom a mask would hide.
    """

    def __init__(self, client: Client, gate: Gate) -> None:
        self._client = client
        self._gate = gate
        self._terminal = client.terminal is not None
        self._quiet = RefusalFilter()
        self._streams: dict[str, Stream] = {}

    async def output(self, data: bytes) -> None:
        """What psql wrote to its output."""
        await self._pass("output", data)

    async def error(self, data: bytes) -> None:
        """What psql wrote to its errors."""
        await self._pass("error", self._quiet.feed(data))

    async def idle(self) -> None:
        """psql is quiet: a person sees what is held only because more might come."""
        for name, stream in self._streams.items():
            await self._write(name, stream.release())

    async def finish(self) -> None:
        """What belongs together is complete: the rest of it, and then anew."""
        await self._pass("error", self._quiet.close())
        streams, self._streams = self._streams, {}
        for name, stream in streams.items():
            await self._write(name, stream.close())

    @contextlib.asynccontextmanager
    async def whole(self) -> AsyncIterator[None]:
        """Deliver what is held also when an error ends the block; the error stays the news."""
        try:
            yield
        except InterlockError:
            with contextlib.suppress(InterlockError, ConnectionError):
                await self.finish()
            raise
        await self.finish()

    async def _pass(self, name: str, data: bytes) -> None:
        if not data:
            return
        if name not in self._streams:
            self._streams[name] = self._gate.stream(interactive=self._terminal)
        if self._terminal:  # psql's own terminal does not add the carriage returns
            data = data.replace(b"\n", b"\r\n")
        await self._write(name, self._streams[name].feed(data))

    async def _write(self, name: str, data: bytes) -> None:
        if data:
            write = self._client.write if name == "output" else self._client.write_error
            await write(data)


def refuse(gate: Gate, text: str, why: str, rule: str, *, unparsable: bool = False) -> None:
    """Put a refusal that the console itself decided on the record; the gate tells it."""
    verdict = Verdict(Answer.DENY, rule, why, unparsable=unparsable)
    gate.refuse(Statement(Language.SQL, text), verdict)


class RefusalFilter:
    """Takes psql's own words about our refusals and waits out of its errors."""

    def __init__(self) -> None:
        self._held = b""
        self._dropping = False

    def feed(self, data: bytes) -> bytes:
        """The lines that stay; a line is decided when it is whole."""
        lines = (self._held + data).splitlines(keepends=True)
        self._held = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if len(self._held) > LINE_LIMIT:
            lines.append(self._held)
            self._held = b""
        return b"".join(line for line in lines if self._stays(line))

    def close(self) -> bytes:
        """The rest."""
        rest, self._held = self._held, b""
        return rest if self._stays(rest) else b""

    def _stays(self, line: bytes) -> bool:
        self._dropping = line.startswith(_OURS) or (self._dropping and line.startswith(_BELONGS))
        return not self._dropping
