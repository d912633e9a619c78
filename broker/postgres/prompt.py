"""psql's prompts, told apart from its output by a secret marker: where its own lexer stands.

A prompt is ``MARKER kind lexer transaction : sqlstate : MARKER``. The marker is random, so that
no data can look like a prompt; it is kept from statements by whoever judges them, because
psql would put it into one that says ``:'PROMPT1'``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from broker.errors import ProtocolError

COPY_NOTE = (  # what psql says before the first prompt for data; a script does not want to read it
    b"Enter data to be copied followed by a newline.\n"
    b"End with a backslash and a period on a line by itself, or an EOF signal.\n"
)
BODY_LIMIT = 32  # bytes between the two markers
_BODY = re.compile(rb"([123])([=^!@'\"$(*-])([*!?]?):([0-9A-Z]{0,5}):")


class Lexer(Enum):
    """What psql waits for."""

    READY = "ready"  # a new statement: nothing is buffered
    CONTINUED = "continued"  # the rest of a statement
    COPY = "copy"  # data of COPY ... FROM STDIN


@dataclass(frozen=True, slots=True)
class PromptState:
    """Where psql stands at a prompt.

    `open` is what is unfinished when continued: ``-`` a statement, or an open ``'`` ``"`` ``$``
    ``(`` ``*`` (comment). `transaction` is ``""``, ``*`` (in one), ``!`` (failed), ``?``.
    `sqlstate` is that of the last statement psql sent; ``refused_meta``: psql refused a
    meta-command in the line, because it is in restricted mode.
    """

    lexer: Lexer
    open: str = ""
    transaction: str = ""
    sqlstate: str = ""
    refused_meta: bool = False

    @property
    def failed(self) -> bool:
        """Did the last statement that psql sent end in an error?"""
        return self.sqlstate not in ("", "00000")


def settings(marker: str) -> tuple[str, ...]:
    """The lines that make psql speak so."""
    return tuple(
        f"\\set PROMPT{kind} {marker}{kind}{body}:%:SQLSTATE::{marker}"
        for kind, body in ((1, "%R%x"), (2, "%R%x"), (3, "=%x"))
    )


class PromptScanner:
    """Takes prompts out of psql's output, however the bytes were split."""

    def __init__(self, marker: str) -> None:
        self._marker = marker.encode()
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, PromptState | None]:
        """Output without prompts, and the first prompt reached; call again with b"" for more."""
        data = self._held + data
        start = data.find(self._marker)
        if start < 0:
            keep = max(_tail(data, self._marker), _tail(data, COPY_NOTE + self._marker))
            return self._cut(data, len(data) - keep)
        body = start + len(self._marker)
        end = data.find(self._marker, body)
        text = data[:start].removesuffix(COPY_NOTE)
        if end < 0 and len(data) - body < BODY_LIMIT + len(self._marker):
            return self._cut(data, len(text))
        state = _state(data[body:end]) if end >= 0 else None
        if state is None:
            msg = "psql's output can no longer be told from its prompts"
            raise ProtocolError(msg)
        self._held = data[end + len(self._marker) :]
        return (text if state.lexer is Lexer.COPY else data[:start]), state

    def _cut(self, data: bytes, at: int) -> tuple[bytes, None]:
        self._held = data[at:]
        return data[:at], None


def _tail(data: bytes, word: bytes) -> int:
    """How many bytes at the end may be the beginning of a word."""
    for size in range(min(len(word) - 1, len(data)), 0, -1):
        if data.endswith(word[:size]):
            return size
    return 0


def _state(body: bytes) -> PromptState | None:
    match = _BODY.fullmatch(body)
    if match is None:
        return None
    kind, open_, transaction, sqlstate = (group.decode("ascii") for group in match.groups())
    lexer = {"1": Lexer.READY, "2": Lexer.CONTINUED, "3": Lexer.COPY}[kind]
    open_ = open_ if lexer is Lexer.CONTINUED else ""
    return PromptState(lexer, open_, transaction, sqlstate)
