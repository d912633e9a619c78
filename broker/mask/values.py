"""How one value is shown when it must not be: in the width that it had, in one of three styles.

redact     stars, one for each column of width
partial    the last four digits of a number long enough to hide the rest; of an address, its first
           letter and its shape; of anything else nothing
pseudonym  other letters and digits in the same places, by a keyed hash: equal values stay equal,
           and a card number never passes the check that cards pass
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from broker.mask.detect import spans as find_spans
from broker.mask.numbers import passes_luhn
from broker.mask.prefilter import Clean
from broker.mask.rules import Style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.mask.detect import Span
    from broker.mask.rules import Masking

# What stands in a stream's text for a move of the cursor: a break, and a blank. They are lone
# surrogates that no input decodes to, and have no width of their own: the move goes out as it was.
BREAK, BLANK = "\ud800", "\ud801"

LAST_SHOWN = 4
_FEWEST_DIGITS = 8  # four of fewer would be half of it


def stars(text: str) -> str:
    """As many stars as the text is wide in a terminal."""
    if text.isascii():
        return "*" * len(text)
    return "".join(_stars(c) for c in text)


def _stars(c: str) -> str:
    if c == BLANK:
        return ""
    return "**" if unicodedata.east_asian_width(c) in "WF" else "*"


def masked(text: str, spans: Iterable[Span], start: int, stop: int) -> str:
    """``text[start:stop]`` with the spans as stars; a span may reach over either end."""
    out: list[str] = []
    at = start
    for span in spans:
        begin, end = max(span.start, at), min(span.end, stop)
        if begin < end:
            out += (text[at:begin], stars(text[begin:end]))
            at = end
    return "".join([*out, text[at:stop]])


def mask_text(text: str, spans: Iterable[Span], style: Style, key: bytes = b"") -> str:
    """The text with each span shown in this style."""
    out: list[str] = []
    at = 0
    for span in spans:
        value = text[span.start : span.end]
        out += (text[at : span.start], mask_value(value, style, key, kind=span.type))
        at = span.end
    return "".join([*out, text[at:]])


def mask_value(value: str, style: Style, key: bytes = b"", *, kind: str = "") -> str:
    """One whole value in this style; `kind` is its detector, or empty for a column's cell."""
    if style is Style.PARTIAL:
        return _partial(value, kind)
    if style is Style.PSEUDONYM:
        return _pseudonym(value, key, kind)
    return stars(value)


def _partial(value: str, kind: str) -> str:
    if kind == "secrets":
        return stars(value)
    if "@" in value and kind in ("", "email"):
        return value[0] + "".join(c if c in "@." else stars(c) for c in value[1:])
    digits = [i for i, c in enumerate(value) if c.isdigit()]
    if len(digits) < _FEWEST_DIGITS or (not kind and len(digits) * 2 < len(value)):
        return stars(value)
    shown = set(digits[-LAST_SHOWN:])
    return "".join(c if i in shown or c in " -.()+" else stars(c) for i, c in enumerate(value))


def _pseudonym(value: str, key: bytes, kind: str) -> str:
    if not key:
        msg = "a pseudonym needs a key"
        raise ValueError(msg)
    meaning = unicodedata.normalize("NFKC", value).casefold()
    noise = _noise(key, f"{kind}\0{meaning}", len(value))
    shown = "".join(_stand_in(c, byte) for c, byte in zip(value, noise, strict=True))
    digits = "".join(c for c in shown if c.isdigit())
    return _break_luhn(shown) if digits.isascii() and passes_luhn(digits or "1") else shown


def _noise(key: bytes, message: str, size: int) -> bytes:
    out, block = b"", 0
    while len(out) < size:
        text = f"{block}\0{message}".encode("utf-8", "surrogatepass")
        out += hmac.new(key, text, hashlib.sha256).digest()
        block += 1
    return out[:size]


def _stand_in(c: str, byte: int) -> str:
    if c.isdigit():
        return chr(ord("0") + byte % 10)
    if c.isalpha():
        letter = chr(ord("a") + byte % 26)
        return letter.upper() if c.isupper() else letter
    return c


def _break_luhn(shown: str) -> str:
    """Change the last digit, so that nobody takes it for a card, nor masks it again."""
    at = max(i for i, c in enumerate(shown) if c.isdigit())
    return shown[:at] + str((int(shown[at]) + 1) % 10) + shown[at + 1 :]


class Redactor:
    """Masks complete texts: the statements and sentences that evidence is made of."""

    def __init__(self, masking: Masking) -> None:
        self._detect = masking.detect
        self._clean = Clean(masking.detect)
        self._counts: Counter[str] = Counter()

    def redact(self, text: str) -> str:
        """The text with every value as stars."""
        if self._clean(text.encode("utf-8", "surrogatepass")):
            return text
        found = find_spans(text, self._detect)
        self._counts.update(span.type for span in found if not span.continues)
        return masked(text, found, 0, len(text)) if found else text

    def take_counts(self) -> dict[str, int]:
        """How many values of each type were masked since the last call."""
        counts, self._counts = dict(self._counts), Counter()
        return counts
