"""asciicast v2, both ways: a header line, then one line for each event; values only, no files.

Codes: ``o`` output, ``i`` input, ``r`` resize (``COLSxROWS``), ``m`` marker, and our ``x`` exit
status, which players ignore. Times are seconds since the start. Output arrives as bytes cut
anywhere: a character split over two events is held until it is whole; what is not UTF-8 becomes
U+FFFD.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recordings.errors import RecordingUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES = frozenset("oirmx")

# Written escaped, though JSON would allow them bare: a terminal or an editor that shows the file
# itself would obey C1 controls and text direction marks.
_ESCAPED = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}

_OBEYED = re.compile(f"[{''.join(map(chr, _ESCAPED))}]")
_quoted = json.encoder.encode_basestring  # what `dumps` does to a string, without its detours

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a recording after its header."""

    time: float
    code: str
    data: str


class Encoder:
    """Events in, lines out. Holds only the bytes of an unfinished character."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def output(self, time: float, data: bytes) -> bytes:
        """One `o` line, or nothing when all that came is the beginning of a character."""
        text = self._utf8.decode(data)
        return _line(time, b"o", text) if text else b""

    def rest(self, time: float) -> bytes:
        """The character that was never finished, when the output has ended."""
        text = self._utf8.decode(b"", final=True)
        return encode_event(Event(time, "o", text)) if text else b""


def encode_header(header: Mapping[str, Any]) -> bytes:
    """The first line of a recording; `version` is ours to say."""
    return _json({**header, "version": 2}) + b"\n"


def encode_event(event: Event) -> bytes:
    """One line, with at most six decimals of a second."""
    if event.code not in CODES:
        msg = f"no such event code: {event.code!r}"
        raise ValueError(msg)
    return _line(event.time, event.code.encode(), event.data)


def _line(time: float, code: bytes, data: str) -> bytes:
    return b'[%.6f, "%s", %s]\n' % (time, code, _clear(_quoted(data)))


def decode_header(line: bytes) -> dict[str, Any]:
    """The header of a recording; refuses every version but 2."""
    header = _parsed(line)
    if not isinstance(header, dict) or header.get("version") != 2:
        msg = "not an asciicast v2 header"
        raise RecordingUnreadable(msg)
    return header


def decode_event(line: bytes) -> Event:
    """One event. Unknown codes are kept, as the format asks of its players."""
    match _parsed(line):
        case [bool(), *_]:
            pass
        case [int() | float() as time, str() as code, str() as data]:
            return Event(float(time), code, data)
    msg = "not an asciicast v2 event"
    raise RecordingUnreadable(msg)


def _json(value: object) -> bytes:
    return _clear(json.dumps(value, ensure_ascii=False))


def _clear(text: str) -> bytes:
    """JSON as bytes, with what a terminal would obey escaped."""
    if "\x7f" in text or (not text.isascii() and _OBEYED.search(text)):
        text = text.translate(_ESCAPED)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate is no character: no player could show it
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = "not a line of an asciicast"
        raise RecordingUnreadable(msg) from error
