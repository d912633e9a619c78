"""ErrorResponse and NoticeResponse: built, read, and masked field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import ProtocolError
from broker.wire.messages import Body, cstring, frame

if TYPE_CHECKING:
    from collections.abc import Callable

Fields = dict[str, bytes]

DENIED = "42501"
NOT_UNDERSTOOD = "42601"
CANCELED = "57014"
ABORTED = "25P02"
TOO_MANY_ROWS = "54000"
NO_STATEMENT = "26000"
NO_PORTAL = "34000"
PROTOCOL = "08P01"
LOST = "08006"
ENDED = "57P01"
FAULT = "58000"
TOO_MANY = "53300"

_TEXTS = "MDHWqstcdn"  # what code in the server may put a value into, names of objects included
_NAMES = "stcdn"  # schema, table, column, type, constraint
_HIDDEN = b"text hidden by interlock: the statement reads masked columns"
# Errors of the server itself whose message never quotes a value that it computed ...
_NO_DATA = tuple(b"08 23 25 28 40 42501 53 55 57".split())
# ... and those that do when a value is cast to a name (`email::regrole`), but not when they point
# to a place in the text of the statement: then they quote that.
_NO_DATA_IN_TEXT = tuple(b"0A 26 34 3D 3F 42".split())


def build(kind: str, severity: str, code: str, message: str) -> bytes:
    """A message of our own: `kind` is ``E`` or ``N``."""
    clean = message.replace("\0", "")
    fields = (("S", severity), ("V", severity), ("C", code), ("M", clean))
    return frame(kind, b"".join(name.encode() + cstring(text) for name, text in fields) + b"\0")


def error(code: str, message: str) -> bytes:
    """An ErrorResponse after which the session goes on."""
    return build("E", "ERROR", code, message)


def fatal(code: str, message: str) -> bytes:
    """An ErrorResponse after which the connection is closed."""
    return build("E", "FATAL", code, message)


def notice(message: str) -> bytes:
    """A NoticeResponse."""
    return build("N", "NOTICE", "00000", message)


def read(body: bytes) -> Fields:
    """The fields by their one-letter names."""
    reader, fields = Body(body), Fields()
    while (name := reader.take(1)) != b"\0":
        letter = name.decode("latin-1")
        if letter in fields:
            msg = "an error names a field twice"
            raise ProtocolError(msg)
        fields[letter] = reader.cstring()
    reader.end()
    return fields


def masked(fields: Fields, mask: Callable[[bytes], bytes], *, tainted: bool) -> Fields:
    """The same with every text masked; of a `tainted` statement, without what may quote a value."""
    shown = {name: mask(text) if name in _TEXTS else text for name, text in fields.items()}
    if tainted:
        for name in "DHWq" + (_NAMES if _by_code(fields) else ""):
            shown.pop(name, None)
        if not _quotes_no_data(fields):
            shown["M"] = _HIDDEN
    return shown


def _quotes_no_data(fields: Fields) -> bool:
    code = fields.get("C", b"")
    if _by_code(fields):
        return False
    return code.startswith(_NO_DATA) or ("P" in fields and code.startswith(_NO_DATA_IN_TEXT))


def _by_code(fields: Fields) -> bool:
    """Was it raised inside a function or code block, which may say anything under any code?"""
    return "W" in fields


def write(kind: str, fields: Fields) -> bytes:
    """The message again."""
    parts = (name.encode("latin-1") + cstring(text) for name, text in fields.items())
    return frame(kind, b"".join(parts) + b"\0")


def said(fields: Fields) -> str:
    """One line as psql would print it: ``ERROR:  message``."""
    severity = fields.get("S", b"").decode("utf-8", "replace")
    return f"{severity}:  {fields.get('M', b'').decode('utf-8', 'replace')}"
