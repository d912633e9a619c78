"""What a line editor shows: prompt_toolkit's parts, without its pipes, signals and extras."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TextIO, cast

from prompt_toolkit.application import Application
from prompt_toolkit.application.current import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, TabsProcessor
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from broker.console import colours, vi
from broker.console.canvas import Drawn, KeyInput, Text
from broker.console.completing import Found, listed
from broker.console.keys import PASTE, Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import AnyFormattedText, StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyPressEvent
    from prompt_toolkit.layout.processors import Processor

    from broker.console.client import Terminal
    from broker.console.colours import Paint
    from broker.console.completing import Complete

# The library leaves out blanks at the end of a line unless they have a background, and programs
# that drive a terminal wait for the blank after a prompt.
PLAIN = "bg:ansidefault"
COMPLETION_SECONDS = 3.0
COLOURED = ("color", "xterm", "screen", "tmux", "linux", "rxvt")


class Interrupted(Exception):
    """The person pressed Ctrl-C."""


class Painted(Lexer):
    """A painter of ours as the library calls one."""

    def __init__(self, paint: Paint) -> None:
        self._paint = paint

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines = self._paint(document.text)
        return lambda number: list(lines[number]) if number < len(lines) else []


class Screen:
    """Edits one text at a time over keys given and bytes taken.

    `shown` is told of each list of candidates before it is drawn, and says what to draw.
    """

    def __init__(
        self,
        terminal: Callable[[], Terminal | None],
        *,
        is_complete: Callable[[str], bool],
        complete: Complete | None = None,
        paint: Paint | None = None,
        shown: Callable[[str], str] | None = None,
    ) -> None:
        self.vi = False
        self.input = KeyInput()
        self.drawn = Drawn()
        self._terminal = terminal
        self._is_complete = is_complete
        self._complete = complete
        self._paint = paint
        self._shown = shown or (lambda text: text)
        self._listing = ""
        self._coming: asyncio.Task[None] | None = None
        self._last_letter = ""
        kind = terminal()
        self._output = Vt100_Output(
            cast("TextIO", self.drawn),
            self._size,
            term=kind.type if kind else None,
            default_color_depth=_depth(kind),
            enable_cpr=False,  # a terminal that does not answer would hold up the prompt
        )
        self._application: Application[str | None] | None = None
        self._text: Text | None = None

    async def edit(self, prompt: str, continuation: str, history: list[str]) -> str | None:
        """The text accepted; None at the end of input. Raises Interrupted."""
        # The session is a context variable: editors of several people never see each other.
        with create_app_session(input=self.input, output=self._output):
            self._text = text = Text(multiline=True, history=InMemoryHistory(history))
            self._application = self._composed(text, prompt, continuation)
            try:
                return await self._application.run_async(
                    handle_sigint=False, set_exception_handler=False
                )
            except EOFError:
                return None
            finally:
                self._application = self._text = None
                self._listing, self._coming = "", None
                self.input.attached.clear()

    def press(self, key: Key) -> None:
        """Act on one key."""
        if key.name != "tab":
            self._listing = ""
        if key.name == "bell" or (self.vi and key.name in vi.LEFT_OUT):
            self._bell()
        elif self.vi and key.name == PASTE and not key.pasted:
            self._letters(key.text)
        else:
            self.input.press(key)
        if self._text is not None:
            self._text.bound()

    def _letters(self, text: str) -> None:
        """Typed letters in vi's modes: text while inserting, commands one by one otherwise."""
        while text and not self.done:
            if self._inserts():
                self.input.press(Key(PASTE, text))
                return
            letter, text = self._meant(text[0]), text[1:]
            state = self._application and self._application.key_processor
            begun = bool(state and state.key_buffer)
            if vi.is_command(letter, begun=begun, count=(state and state.arg) or ""):
                self.input.press(Key(letter, letter))
            else:
                self._bell()

    def _meant(self, letter: str) -> str:
        """vi's `cw` leaves the blank behind the word, as `ce` does."""
        changing = self._last_letter == "c" and letter in "wW"
        self._last_letter = letter
        return {"w": "e", "W": "E"}[letter] if changing else letter

    def _inserts(self) -> bool:
        """Would the editor take a letter as text?"""
        app = self._application
        if app is None:
            return True
        inserting = app.vi_state.input_mode in (InputMode.INSERT, InputMode.REPLACE)
        return inserting or app.layout.is_searching

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
        search = SearchToolbar(search_buffer=Text(), vi_mode=self.vi)
        processors: list[Processor] = [HighlightIncrementalSearchProcessor(), TabsProcessor()]
        control = BufferControl(
            text,
            search_buffer_control=search.control,
            input_processors=processors,
            preview_search=True,
            include_default_input_processors=False,
            lexer=Painted(self._paint) if self._paint is not None else None,
        )

        def prefix(line: int, wrapped: int) -> AnyFormattedText:
            return [(PLAIN, "" if wrapped else continuation if line else prompt)]

        window = Window(control, get_line_prefix=prefix, wrap_lines=True, dont_extend_height=True)
        return Application(
            layout=Layout(HSplit([window, self._candidates(), search]), window),
            key_bindings=self._bindings(text),
            style=Style.from_dict(colours.STYLE),
            include_default_pygments_style=False,
            editing_mode=EditingMode.VI if self.vi else EditingMode.EMACS,
            input=self.input,
            output=self._output,
            max_render_postpone_time=None,  # else a key waits until nobody else has work
            terminal_size_polling_interval=None,  # the client tells of each change
        )

    def _candidates(self) -> ConditionalContainer:
        control = FormattedTextControl(lambda: [("class:listed", self._listing)])
        window = Window(control, dont_extend_height=True)
        return ConditionalContainer(window, Condition(lambda: bool(self._listing)))

    def _bindings(self, text: Text) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("enter", filter=~is_searching)
        def _enter(event: KeyPressEvent) -> None:
            if not text.text.strip() or self._is_complete(text.text):
                event.app.exit(result=text.text)
                return
            if event.app.vi_state.input_mode is InputMode.NAVIGATION:
                text.cursor_position = len(text.text)
                event.app.vi_state.input_mode = InputMode.INSERT
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
        def _tab(event: KeyPressEvent) -> None:
            self._tab(event.app, text)

        @bindings.add("c-p", filter=~is_searching)
        def _earlier(_event: KeyPressEvent) -> None:
            text.auto_up()

        @bindings.add("c-n", filter=~is_searching)
        def _later(_event: KeyPressEvent) -> None:
            text.auto_down()

        return bindings

    # -- completion ----------------------------------------------------------------------------

    def _tab(self, app: Application[str | None], text: Text) -> None:
        """Complete the last word: at once, or when the answer comes; typing goes on meanwhile."""
        before = text.document.text_before_cursor
        if self._complete is None or not before.strip():
            text.insert_text("\t")
            return
        if self._coming is not None:
            self._coming.cancel()
        found = self._complete(before)
        if isinstance(found, Found):
            self._completed(text, found)
        else:
            self._coming = app.create_background_task(self._later(app, text, before, found))

    async def _later(
        self, app: Application[str | None], text: Text, before: str, coming: Awaitable[Found]
    ) -> None:
        try:
            async with asyncio.timeout(COMPLETION_SECONDS):
                found = await coming
            if text.document.text_before_cursor == before and not app.is_done:
                self._completed(text, found)
        except TimeoutError:
            self._bell()
        except Exception as error:  # noqa: BLE001 - it ends the editing, and is raised there
            if not app.is_done:
                app.exit(exception=error)
        finally:
            app.invalidate()

    def _completed(self, text: Text, found: Found) -> None:
        """Put in what is certain; show the candidates when that is nothing."""
        replacement = found.replacement
        if replacement is not None:
            text.delete_before_cursor(len(found.word))
            text.insert_text(replacement)
        elif found.candidates:
            size = self._size()
            self._listing = self._shown(listed(found.candidates, size.columns, size.rows - 2))
        else:
            self._bell()


def _depth(terminal: Terminal | None) -> ColorDepth:
    coloured = terminal is not None and any(word in terminal.type for word in COLOURED)
    return ColorDepth.DEPTH_4_BIT if coloured else ColorDepth.DEPTH_1_BIT
