"""A terminal's bytes as the text that a person sees, with all else kept in its place.

Escapes that move nothing (colours, modes, titles, character sets, erasing) and control characters
without width are taken out of the text and noted as marks, so that ``4111\\x1b[1m1111`` is one
number; a backspace takes back the character before it (``_\\bX``, and less's blank at the margin);
cursor-right is blanks; a repeated character is written out. Any other motion is a break: `BREAK`
stands in the text for it. What is noted goes out again, byte for byte, where it came in.

Limits: text is UTF-8 (other bytes pass, unmatched); what a program draws by moving the cursor is
matched piece by piece; an escape's own parameters are not text and are not matched, but titles,
links and other control strings are; one longer than 16 KB is dropped, as its terminal would
show nothing of it either.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, NamedTuple

from broker.mask.values import BLANK, BREAK, masked, stars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from broker.mask.detect import Span

_VIEW = {ord(BREAK): "\n", ord(BLANK): " "}
_GONE = {ord(BREAK): None, ord(BLANK): None}

_MOST_STRING = 16384
_ENDS = "\x07\x18\x1a\x1b\x9c"
_CSI = r"(?:\x1b\[|\x9b)[0-?]{0,128}[ -/]{0,4}"
_STRING = rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^{_ENDS}]{{0,{_MOST_STRING}}}+"
_WIDTHLESS = r"\u00ad\u0300-\u036f\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff"
_CONTROL = rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_WIDTHLESS}]"
_NOTHING = rf"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f-\x83\x86-\x8c\x8e-\x8f\x91-\x97\x99\x9a{_WIDTHLESS}]"
_ANY = re.compile(_CONTROL)
_PLAIN = bytes([9, 10, 13, *range(32, 127)])
_TOKEN = re.compile(
    rf"""
      (?P<csi>{_CSI}[@-~])
    | (?P<string>{_STRING}(?:\x07|\x1b\\|\x9c|(?=[\x18\x1a])|(?=\x1b[^\\])))
    | (?P<part>(?:{_CSI}|\x1b[ -/]{{0,4}}|{_STRING}\x1b?)\Z)
    | (?P<long>(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])(?=[^{_ENDS}]{{{_MOST_STRING}}}))
    | (?P<escape>\x1b[ -/]{{0,4}}[0-~])
    | (?P<back>\x08)
    | (?P<zero>{_NOTHING}+|{_CONTROL})
    """,
    re.VERBOSE,
)
_REST_OF_STRING = re.compile(rf"[^{_ENDS}]*+(?P<end>\x07|\x9c|\x1b\\)?")
_STILL = frozenset("mhlKnctqpXgiyxwv")  # final bytes of control sequences that move nothing
_SCREEN = re.compile(r"\?(?:.*;)?(?:3|6|47|1047|1048|1049)(?:;|$)")
_STILL_ESCAPES = frozenset("7=>\\")
_BREAKS = frozenset("\x0b\x0c\x84\x85\x8d")
_TAKEN_BACK = re.compile(r"[\w.%+@()\-:]{2}")


class Mark(NamedTuple):
    """Bytes without width before the character at `at`; `hidden` is what they are in a value."""

    at: int
    raw: str
    hidden: str | None = None


class Visible:
    """What has been seen and not yet handed out."""

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self.text = ""
        self.shown = 0  # so much of it was already handed out
        self._scrub = scrub
        self._marks: list[Mark] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._part = ""  # an escape that has not ended
        self._dropping = False  # in a control string that is too long
        self._last = ""  # what a repeat repeats
        self._went_back = False
        self._in_value = False  # what was handed out last is a value, which may go on

    @property
    def view(self) -> str:
        """The text to match: breaks as line ends, cursor-right as a blank."""
        text = self.text
        return text.translate(_VIEW) if BREAK in text or BLANK in text else text

    def write(self, data: bytes, *, final: bool = False) -> None:
        """Take bytes in."""
        plain = not self._part and data.isascii() and not data.translate(None, _PLAIN)
        text = self._part + self._decoder.decode(data, final)
        self._part = ""
        if not self._dropping and (plain or not _ANY.search(text)):
            self._show(text)
        else:
            self._write_tokens(text, final=final)

    def render(self, stop: int, spans: Iterable[Span], *, final: bool = False) -> str:
        """The text from `shown` to `stop`, values masked, marks in their places."""
        start, stop = self.shown, max(self.shown, stop)
        self.shown = stop
        spans = list(spans)
        if self._marks:
            text = self._render_marked(start, stop, spans, final=final)
        else:
            text = masked(self.text, spans, start, stop)
        if stop > start:
            self._in_value = bool(spans) and spans[-1].end >= stop
        return text.translate(_GONE) if BREAK in text or BLANK in text else text

    def drop(self, count: int) -> None:
        """Forget the first characters: they are settled."""
        self.text = self.text[count:]
        self.shown = max(0, self.shown - count)
        if self._marks:
            self._marks = [mark._replace(at=mark.at - count) for mark in self._marks]

    def _render_marked(self, start: int, stop: int, spans: list[Span], *, final: bool) -> str:
        ready = 0
        for mark in self._marks:
            if mark.at > stop or (mark.at == stop and mark.hidden is not None and not final):
                break  # what was overstruck may belong to the value that begins here
            ready += 1
        ready_marks, self._marks = self._marks[:ready], self._marks[ready:]
        cells = [*self.text[start:stop], ""]
        for span in spans:
            for at in range(max(span.start, start), min(span.end, stop)):
                cells[at - start] = stars(self.text[at])
        for mark in reversed(ready_marks):
            raw = mark.raw
            if mark.hidden is not None and (
                (self._in_value and mark.at == start)
                or any(span.start <= mark.at <= span.end for span in spans)
            ):
                raw = mark.hidden
            cells[mark.at - start] = raw + cells[mark.at - start]
        return "".join(cells)

    # -- taking in ---------------------------------------------------------------------------------

    def _show(self, text: str) -> None:
        if text:
            self.text += text
            self._last = text[-1] if text[-1].isprintable() else ""
            self._went_back = False

    def _mark(self, raw: str) -> None:
        self._marks.append(Mark(len(self.text), raw))

    def _break(self, raw: str) -> None:
        self._mark(raw)
        self._show(BREAK)

    def _write_tokens(self, text: str, *, final: bool) -> None:
        at = self._drop_string(text) if self._dropping else 0
        while m := _TOKEN.search(text, at):
            self._show(text[at : m.start()])
            at = m.end()
            if m.lastgroup == "part" and not final:
                self._part = m.group()
            else:
                self._take(m.lastgroup or "", m.group())
            if self._dropping:
                at = self._drop_string(text, at)
        self._show(text[at:])

    def _take(self, kind: str, raw: str) -> None:
        if kind == "csi":
            self._control(raw)
        elif kind == "back":
            self._back()
        elif kind == "long":
            self._dropping = True
        elif raw in _BREAKS or (kind == "escape" and not _is_still_escape(raw)):
            self._break(raw)
        else:
            self._mark(self._scrub(raw) if len(raw) > 4 else raw)

    def _control(self, raw: str) -> None:
        """One control sequence, by its final byte."""
        final, parameters = raw[-1], raw[2:-1] if raw[0] == "\x1b" else raw[1:-1]
        if final in _STILL and not (final in "hl" and _SCREEN.match(parameters)):
            self._mark(raw)
        elif final in "Ca":
            self._mark(raw)
            self._show(BLANK * min(_count(parameters), 16))
        elif final == "b" and self._last:
            self._show(self._last * min(_count(parameters), 1024))
        else:
            self._break(raw)

    def _back(self) -> None:
        """A backspace takes back one character, where a value could go on from before it.

        Only a blank, or a character that another stands before: whether such a one is still here
        does not depend on how the bytes came. A value's first character may so be seen twice, and
        the first time shown.
        """
        last = self.text[-1:]
        if not last:
            (self._break if self._went_back else self._mark)("\b")
        elif not self._went_back and (last == " " or _TAKEN_BACK.fullmatch(self.text[-2:])):
            self._take_back(last)
        else:
            self._break("\b")
        self._went_back = True
        self._last = ""

    def _take_back(self, last: str) -> None:
        at = len(self.text) - 1
        between = "".join(mark.raw for mark in self._marks if mark.at > at)
        self._marks = [mark for mark in self._marks if mark.at <= at]
        raw = between + "\b" if self.shown > at else last + between + "\b"
        hidden = None if self.shown > at or last == " " else stars(last) + between + "\b"
        self._marks.append(Mark(at, raw, hidden))
        self.shown = min(self.shown, at)
        self.text = self.text[:at]

    def _drop_string(self, text: str, at: int = 0) -> int:
        """Pass over what is left of a control string that is too long."""
        m = _REST_OF_STRING.match(text, at)
        end = m.end() if m else at
        if m and m["end"]:
            self._dropping = False
        elif text[end:] == "\x1b":
            self._part = "\x1b"
            return len(text)
        elif end < len(text):
            self._dropping = False  # cancelled
        return end


def _count(parameters: str) -> int:
    return max(1, int(parameters)) if parameters.isdigit() and len(parameters) < 6 else 1


def _is_still_escape(raw: str) -> bool:
    return raw[1] in " ()*+-./%&" if len(raw) > 2 else raw[1] in _STILL_ESCAPES
