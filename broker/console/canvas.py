"""The line editor's two ends and its text: prompt_toolkit's parts, bounded and without extras."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys as Names

from broker.console.keys import PASTE, TEXT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from prompt_toolkit.clipboard import ClipboardData

    from broker.console.keys import Key

UNDO_STEPS = 50
UNDO_TEXT = 4096  # characters
NAMES = {  # where the library's own name for a key differs
    PASTE: Names.BracketedPaste,
    "tab": Names.Tab,
    "enter": Names.Enter,
    "backspace": Names.Backspace,
}


def library_names(key: Key) -> list[Names | str]:
    """A key as the library calls it; letters after Escape are themselves."""
    words = key.name.split()
    return [word if len(word) == 1 else NAMES.get(word) or Names(word) for word in words]


_BARE_LINE_END = re.compile(r"(?<!\r)\n")


class KeyInput(Input):
    """Keys given one at a time by whoever reads the client; no descriptor, nothing kept."""

    def __init__(self) -> None:
        self._keys: list[KeyPress] = []
        self._call: Callable[[], None] | None = None
        self._ended = False
        self.attached = asyncio.Event()

    def press(self, key: Key) -> None:
        """Let the editor act on one key."""
        self._keys = [KeyPress(name, key.text) for name in library_names(key)]
        if self._call is not None:
            self._call()

    def end(self) -> None:
        """There will be no more keys."""
        self._ended = True
        if self._call is not None:
            self._call()

    def read_keys(self) -> list[KeyPress]:
        keys, self._keys = self._keys, []
        return keys

    @property
    def closed(self) -> bool:
        return self._ended

    @contextlib.contextmanager
    def _attached(self, call: Callable[[], None]) -> Iterator[None]:
        self._call = call
        self.attached.set()
        try:
            yield
        finally:
            self._call = None

    def attach(self, input_ready_callback: Callable[[], None]) -> AbstractContextManager[None]:
        return self._attached(input_ready_callback)

    def detach(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def raw_mode(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def fileno(self) -> int:
        msg = "there is no descriptor here"
        raise NotImplementedError(msg)

    def typeahead_hash(self) -> str:
        return "interlock"  # one key is given at a time, so the library's global store stays empty


class Drawn:
    """What the editor draws, until it is sent; looks like a text file to the library."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self._parts: list[str] = []

    def write(self, text: str) -> None:
        self._parts.append(text)

    def flush(self) -> None:
        if self._parts:
            self.news.set()

    def take(self) -> bytes:
        """All that was drawn since the last call, with line ends as a raw terminal needs them."""
        text = "".join(self._parts)
        self._parts.clear()
        self.news.clear()
        return _BARE_LINE_END.sub("\r\n", text).encode("utf-8", "replace")


class Text(Buffer):
    """The text being edited: bounded, and without the library's unbounded undo."""

    def insert_text(
        self,
        data: str,
        overwrite: bool = False,
        move_cursor: bool = True,
        fire_event: bool = True,
    ) -> None:
        if len(self.text) + len(data) <= TEXT_LIMIT:
            super().insert_text(data, overwrite, move_cursor, fire_event)

    def paste_clipboard_data(self, data: ClipboardData, *_args: object, **_kwargs: object) -> None:
        self.insert_text(data.text)

    def save_to_undo_stack(self, clear_redo_stack: bool = True) -> None:
        """Keep a few states of short texts: each is a copy of the whole."""
        if len(self.text) <= UNDO_TEXT:
            super().save_to_undo_stack(clear_redo_stack)
            del self._undo_stack[:-UNDO_STEPS]

    def bound(self) -> None:
        """Cut what an editing command made too long."""
        if len(self.text) > TEXT_LIMIT:
            self.text = self.text[:TEXT_LIMIT]
