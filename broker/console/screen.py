"""What a line editor shows: prompt_toolkit's parts, without its pipes, signals and extras."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, TextIO, cast

from prompt_toolkit.application import Application
from prompt_toolkit.application.current import create_app_session
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.filters import is_searching
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPress
from prompt_toolkit.keys import Keys as Names
from prompt_toolkit.layout import BufferControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, TabsProcessor
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.widgets import SearchToolbar

from broker.console.keys import PASTE, TEXT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from prompt_toolkit.clipboard import ClipboardData
    from prompt_toolkit.formatted_text import AnyFormattedText
    from prompt_toolkit.key_binding import KeyPressEvent
    from prompt_toolkit.layout.processors import Processor

    from broker.console.client import Terminal
    from broker.console.keys import Key

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


# The library leaves out blanks at the end of a line unless they have a background, and programs
# that drive a terminal wait for the blank after a prompt.
PLAIN = "bg:ansidefault"
_BARE_LINE_END = re.compile(r"(?<!\r)\n")


class Interrupted(Exception):
    """The person pressed Ctrl-C."""


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
        """Keep nothing: every state is a copy of the whole text."""


class Screen:
    """Edits one text at a time over keys given and bytes taken."""

    def __init__(
        self,
        terminal: Callable[[], Terminal | None],
        *,
        is_complete: Callable[[str], bool],
        complete: Callable[[str], list[str]] | None,
    ) -> None:
        self.input = KeyInput()
        self.drawn = Drawn()
        self._terminal = terminal
        self._is_complete = is_complete
        self._complete = complete
        kind = terminal()
        self._output = Vt100_Output(
            cast("TextIO", self.drawn),
            self._size,
            term=kind.type if kind else None,
            default_color_depth=ColorDepth.DEPTH_1_BIT,
            enable_cpr=False,  # a terminal that does not answer would hold up the prompt
        )
        self._application: Application[str | None] | None = None

    async def edit(self, prompt: str, continuation: str, history: list[str]) -> str | None:
        """The text accepted; None at the end of input. Raises Interrupted."""
        # The session is a context variable: editors of several people never see each other.
        with create_app_session(input=self.input, output=self._output):
            text = Text(multiline=True, history=InMemoryHistory(history))
            self._application = self._composed(text, prompt, continuation)
            try:
                return await self._application.run_async(
                    handle_sigint=False, set_exception_handler=False
                )
            except EOFError:
                return None
            finally:
                self._application = None
                self.input.attached.clear()

    def press(self, key: Key) -> None:
        """Act on one key."""
        if key.name == "bell":
            self._bell()
        else:
            self.input.press(key)

    @property
    def done(self) -> bool:
        """Has the text been accepted or given up?"""
        return self._application is None or self._application.is_done

    def resized(self) -> None:
        """The terminal has another size: draw anew."""
        if self._application is not None and self._application.is_running:
            self._application._on_resize()  # noqa: SLF001 - what the library's own servers call

    def _size(self) -> Size:
        """The terminal's size, within what can be drawn."""
        terminal = self._terminal()
        rows, columns = (terminal.rows, terminal.columns) if terminal else (24, 80)
        return Size(rows=min(max(rows, 2), 500), columns=min(max(columns, 10), 1000))

    def _bell(self) -> None:
        self._output.bell()
        self._output.flush()

    def _composed(self, text: Text, prompt: str, continuation: str) -> Application[str | None]:
        search = SearchToolbar(search_buffer=Text())
        processors: list[Processor] = [HighlightIncrementalSearchProcessor(), TabsProcessor()]
        control = BufferControl(
            text,
            search_buffer_control=search.control,
            input_processors=processors,
            preview_search=True,
            include_default_input_processors=False,
        )

        def prefix(line: int, wrapped: int) -> AnyFormattedText:
            return [(PLAIN, "" if wrapped else continuation if line else prompt)]

        window = Window(control, get_line_prefix=prefix, wrap_lines=True, dont_extend_height=True)
        return Application(
            layout=Layout(HSplit([window, search]), window),
            key_bindings=self._bindings(text),
            input=self.input,
            output=self._output,
            min_redraw_interval=0.02,
            terminal_size_polling_interval=None,  # the client tells of each change
        )

    def _bindings(self, text: Text) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter", filter=~is_searching)
        def _enter(event: KeyPressEvent) -> None:
            if not text.text.strip() or self._is_complete(text.text):
                event.app.exit(result=text.text)
            else:
                text.insert_text("\n")

        @bindings.add("c-c", eager=True)
        def _interrupt(event: KeyPressEvent) -> None:
            event.app.exit(exception=Interrupted())

        @bindings.add("c-d", filter=~is_searching)
        def _end(event: KeyPressEvent) -> None:
            if text.text:
                text.delete()
            else:
                event.app.exit(result=None)

        @bindings.add("tab", filter=~is_searching)
        def _tab(_event: KeyPressEvent) -> None:
            self._completed(text)

        return bindings

    def _completed(self, text: Text) -> None:
        """Insert what all candidates for the last word share; a tab when nothing completes."""
        if self._complete is None:
            text.insert_text("\t")
            return
        before = text.document.text_before_cursor
        word = re.split(r"\s", before)[-1]
        candidates = [c for c in self._complete(before) if c.startswith(word)]
        shared = _shared(candidates)
        if len(shared) > len(word):
            text.insert_text(shared[len(word) :])
        else:
            self._bell()


def _shared(words: list[str]) -> str:
    """The longest beginning that all words have."""
    if not words:
        return ""
    low, high = min(words), max(words)
    size = next((i for i, c in enumerate(low) if i >= len(high) or high[i] != c), len(low))
    return low[:size]
