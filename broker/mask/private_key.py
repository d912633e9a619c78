"""The body of a PEM private key, which goes over many lines, masked as it comes.

Behind a ``-----BEGIN ... PRIVATE KEY-----`` only words that can be base64 are masked, and the
first that cannot ends the body: `grep BEGIN` must not swallow the rest of a session. Line ends,
blanks (``echo $KEY``), written ``\\n`` (JSON) and psql's ``+`` at line ends are all taken.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from broker.mask.runs import has_ended

HEADER = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,24} ){0,4}PRIVATE KEY(?: BLOCK)?-----")

_SPACE = re.compile(r"(?:[\s|]|\+(?=\s))*")
_WORD = re.compile(r"[A-Za-z0-9+/=\\]*+")
_ATTRIBUTE = re.compile(r"(?:Proc-Type|DEK-Info|Comment|Version|Charset):[^\n]{0,200}\n")
_ATTRIBUTE_BEGUN = re.compile(
    r"(?:P(?:r(?:o(?:c(?:-(?:T(?:y(?:pe?)?)?)?)?)?)?)?|D(?:E(?:K(?:-(?:I(?:n(?:fo?)?)?)?)?)?)?"
    r"|(?:Proc-Type|DEK-Info|Comment|Version|Charset):[^\n]{0,200})\Z"
)
_LONG = 16  # a line of a key; a shorter word may be its last line, or no part of it at all


class Step(NamedTuple):
    """One word: what of it to mask, where to go on, and whether the body is over.

    When it goes on from where it began and is not over, more text is needed.
    """

    start: int
    end: int
    resume: int
    over: bool = False


class KeyBody:
    """Where we are in a key's body."""

    def __init__(self) -> None:
        self.started = False  # a long word was masked: it is a key
        self._ending = False  # then a short one: nothing but the footer may follow
        self._inside = False  # the end of a long word has not come yet

    def step(self, text: str, start: int, *, final: bool) -> Step:
        """Look at the next word."""
        if self._inside:
            return self._go_on(text, start, final=final)
        begin = _end_of(_SPACE, text, start)
        if begin == len(text) and not final:
            begin = max(start, begin - _blanks_behind(text))  # a backspace may take them back
            return Step(begin, begin, begin)
        end = _end_of(_WORD, text, begin)
        whole = final or has_ended(text, end)
        if self._ending or (whole and end == begin):
            return Step(begin, begin, begin, over=True)
        if not final and _ATTRIBUTE_BEGUN.match(text, begin):
            return Step(begin, begin, begin)
        if attribute := _ATTRIBUTE.match(text, begin):
            return Step(begin, begin, attribute.end())
        return self._word(text, begin, end, whole=whole)

    def _word(self, text: str, begin: int, end: int, *, whole: bool) -> Step:
        if end - begin >= _LONG:
            self.started, self._inside = True, not whole
            return Step(begin, end, end)
        if not whole:
            return Step(begin, begin, begin)
        self._ending = self.started and _is_closed(text, end)
        if self._ending:
            return Step(begin, end, end)
        return Step(begin, begin, begin, over=True)

    def _go_on(self, text: str, start: int, *, final: bool) -> Step:
        end = _end_of(_WORD, text, start)
        self._inside = not (final or has_ended(text, end))
        if self._inside or end > start:
            return Step(start, end, end)
        return self.step(text, start, final=final)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _is_closed(text: str, end: int) -> bool:
    return end == len(text) or text[end] in " \t\r\n|-\"'"


def _blanks_behind(text: str) -> int:
    return min(10, len(text) - len(text.rstrip(" \t")))
