"""psql's output on its way back: through the gate, then to the client."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from broker.errors import InterlockError
from broker.model import Answer, Language, Statement, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.console.client import Client
    from broker.console.pager import Pager
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
_FAILED = re.compile(rb"^(?:psql:[^\n]*)?(?:ERROR|FATAL|PANIC):", re.MULTILINE)


class Delivery:
    """Standard output and errors of one psql, without its words about refusals and waits.

    The gate tells those (`Gate.told`), and it names people whom a mask would hide.
    """

    def __init__(self, client: Client, gate: Gate, pager: Pager | None = None) -> None:
        self.failed = False  # has psql told an error?
        self._client = client
        self._gate = gate
        self._pager = pager
        self._terminal = client.terminal is not None
        self._quiet = RefusalFilter()
        self._streams: dict[str, Stream] = {}

    async def output(self, data: bytes) -> None:
        """What psql wrote to its output."""
        await self._pass("output", data)

    async def error(self, data: bytes) -> None:
        """What psql wrote to its errors."""
        self.failed = self.failed or _FAILED.search(data) is not None
        await self._pass("error", self._quiet.feed(data))

    async def idle(self) -> None:
        """psql is quiet: a person sees what is held only because more might come."""
        for name, stream in self._streams.items():
            await self._write(name, stream.release())

    async def finish(self, *, stay: bool = True) -> None:
        """What belongs together is complete: the rest of it, and then anew.

        A person who paged through it stays in it until they leave (`stay`).
        """
        await self._pass("error", self._quiet.close())
        streams, self._streams = self._streams, {}
        for name, stream in streams.items():
            await self._write(name, stream.close())
        if self._pager is not None and stay:
            await self._pager.end()

    @contextlib.asynccontextmanager
    async def whole(self) -> AsyncIterator[None]:
        """Deliver what is held also when an error ends the block; the error stays the news."""
        try:
            yield
        except InterlockError:
            with contextlib.suppress(InterlockError, ConnectionError):
                await self.finish(stay=False)
            raise
        await self.finish()

    async def _pass(self, name: str, data: bytes) -> None:
        if not data:
            return
        if name not in self._streams:
            self._streams[name] = self._new_stream()
        if self._terminal:  # psql's own terminal does not add the carriage returns
            data = data.replace(b"\n", b"\r\n")
        if self._pager is not None and name == "output":
            await self._page(self._pager, data)
        else:
            await self._write(name, self._streams[name].feed(data))

    async def _page(self, pager: Pager, data: bytes) -> None:
        """Output page by page: what the person has not asked for yet waits here, unrecorded."""
        while data:
            piece, data = await pager.next(data)
            if pager.left and "output" in self._streams:  # what is held of the rest goes with it
                self._streams.pop("output").close()
            if piece:
                if "output" not in self._streams:
                    self._streams["output"] = self._new_stream()
                await self._write("output", self._streams["output"].feed(piece))

    def _new_stream(self) -> Stream:
        return self._gate.stream(interactive=self._terminal)

    async def _write(self, name: str, data: bytes) -> None:
        if not data:
            return
        if name == "error":
            await self._client.write_error(data)
        elif self._pager is not None:
            await self._pager.write(data)
        else:
            await self._client.write(data)


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
