"""A line editor over a client: history, search, several lines; plain lines without a terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.console.keys import AHEAD_LIMIT, Keys, as_paste
from broker.console.screen import Interrupted, Screen
from broker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.console.client import Client, Terminal
    from broker.console.colours import Paint
    from broker.console.completing import Complete

__all__ = ["Editor", "Interrupted"]

HISTORY_LIMIT = 500
ESCAPE_SECONDS = 0.05
LINE_LIMIT = 1024 * 1024  # bytes of one line without a terminal


class Editor:
    """Asks the person for one text at a time.

    It reads the client only during `line`. What was typed beyond the accepted text is kept and
    meets the next prompt key by key, in sight. `complete` gets the text left of the cursor and
    answers with what fits it, at once or later; `shown` is told of each list of candidates before
    it is drawn, and says what to draw. `paint` gives the text its colours. The editor is the one
    listener for the client's window changes; `on_resize` is told of each, also between prompts.
    """

    def __init__(
        self,
        client: Client,
        *,
        is_complete: Callable[[str], bool],
        history: list[str] | None = None,
        complete: Complete | None = None,
        paint: Paint | None = None,
        shown: Callable[[str], str] | None = None,
        on_resize: Callable[[Terminal], None] | None = None,
    ) -> None:
        self.history = history if history is not None else []
        self._client = client
        self._is_complete = is_complete
        self._keys = Keys()
        self._told_resize = on_resize
        self._screen = Screen(
            lambda: client.terminal,
            is_complete=is_complete,
            complete=complete,
            paint=paint,
            shown=shown,
        )
        self._plain = bytearray()
        self._ended = False
        self._lost: ConnectionError | None = None
        client.on_resize(self._resized)

    @property
    def vi(self) -> bool:
        """Are the keys vi's, from the next line on? Otherwise they are emacs's."""
        return self._keys.vi

    @vi.setter
    def vi(self, on: bool) -> None:
        self._keys.vi = self._screen.vi = on

    async def line(self, prompt: str, *, continuation: str = "> ") -> str | None:
        """The accepted text, perhaps of several lines; None at the end of input.

        Raises Interrupted at Ctrl-C and ConnectionError when the client is gone.
        """
        if self._client.terminal is None:
            return await self._plain_text()
        text = await self._edited(prompt, continuation)
        if text is not None and text.strip() and self.history[-1:] != [text]:
            self.history.append(text)
            del self.history[:-HISTORY_LIMIT]
        return text

    def take_pending(self) -> bytes:
        """What was typed ahead, for a program that now reads the keys; it is ours no more."""
        pending = bytes(self._plain) + self._keys.take_all()
        self._plain.clear()
        return pending

    def type_ahead(self, data: bytes) -> bool:
        """Keys typed while something ran: the next prompt shows them as text, line ends too.

        False when that was too much, and its end was dropped.
        """
        if self._client.terminal is None:
            self._plain += data
            return True
        self._keys.feed(as_paste(data))
        return len(data) <= AHEAD_LIMIT

    # -- with a terminal -----------------------------------------------------------------------

    async def _edited(self, prompt: str, continuation: str) -> str | None:
        failure: Exception | None = None  # raised outside, where no group wraps it
        text: str | None = None
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(self._type()), group.create_task(self._draw())]
            try:
                text = await self._screen.edit(prompt, continuation, list(self.history))
            except Exception as error:  # noqa: BLE001 - raised again below
                failure = error
            finally:
                for task in helpers:
                    task.cancel()
        if self._lost is not None:
            raise self._lost
        await self._client.write(self._screen.drawn.take())
        if failure is not None:
            raise failure
        return text

    async def _type(self) -> None:
        """Give the screen one key after another; read the client when there is none."""
        await self._screen.input.attached.wait()
        await asyncio.sleep(0)  # the first drawing has begun to load the history:
        await asyncio.sleep(0)  # let it finish, so that an early arrow key finds it
        while True:
            while (key := self._keys.next()) is not None:
                self._screen.press(key)
                if self._screen.done:
                    return  # the other keys are for the next prompt
                await asyncio.sleep(0)  # draw, and let other sessions run
            if self._ended:
                self._screen.input.end()
                return
            await self._read_more()

    async def _read_more(self) -> None:
        """Read; an Escape that nothing follows for a moment is the key."""
        if not self._keys.may_be_escape:
            await self._read()
            return
        try:
            async with asyncio.timeout(ESCAPE_SECONDS):
                await self._read()
        except TimeoutError:
            self._screen.press(self._keys.escape())

    async def _read(self) -> None:
        try:
            data = await self._client.read()
        except ConnectionError as error:
            self._lost = error
            data = b""
        self._ended = not data
        self._keys.feed(data)

    async def _draw(self) -> None:
        """Send what is drawn; the client's pace is ours."""
        try:
            while True:
                await self._screen.drawn.news.wait()
                await self._client.write(self._screen.drawn.take())
        except ConnectionError as error:
            self._lost = error
            self._screen.input.end()

    def _resized(self, terminal: Terminal) -> None:
        self._screen.resized()
        if self._told_resize is not None:
            self._told_resize(terminal)

    # -- without one ---------------------------------------------------------------------------

    async def _plain_text(self) -> str | None:
        """Lines until the text is complete; at the end of input, what there is."""
        text = ""
        while (line := await self._plain_line()) is not None:
            text += line
            if not text.strip() or self._is_complete(text):
                return text
            text += "\n"
        return text.removesuffix("\n") or None

    async def _plain_line(self) -> str | None:
        while (end := self._plain.find(b"\n")) < 0 and not self._ended:
            if len(self._plain) > LINE_LIMIT:
                msg = f"a line may not be longer than {LINE_LIMIT} bytes"
                raise UsageError(msg)
            data = await self._client.read()
            self._ended = not data
            self._plain += data
        if end < 0 and not self._plain:
            return None
        size = end + 1 if end >= 0 else len(self._plain)
        line = bytes(self._plain[:size])
        del self._plain[:size]
        return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace")
