"""What a command line may look like before any grammar sees it."""

from __future__ import annotations

import unicodedata

from broker.errors import Unparsable

SIZE = 64 * 1024  # bytes of a statement
MARKS = 12_000  # blanks and operators: what makes a grammar's answer large
DEPTH = 64  # compound commands inside one another
STATEMENTS = 2000  # of one line, with its loops written out


def check_text(text: str) -> None:
    """Refuse what is too long, not Unicode text, or holds control characters."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        msg = "the line is not valid UTF-8"
        raise Unparsable(msg, error.start) from error
    if size > SIZE:
        msg = f"the line is longer than {SIZE // 1024} KiB"
        raise Unparsable(msg, SIZE)
    if sum(map(text.count, " \t\n;|&()<>")) > MARKS:
        msg = "the line has too many words"
        raise Unparsable(msg, len(text))
    for position, char in enumerate(text):
        if is_control(char):
            msg = f"the line holds the control character U+{ord(char):04X}"
            raise Unparsable(msg, position)


def is_control(char: str) -> bool:
    """Is this a control character other than tab and newline?"""
    return char not in "\t\n" and unicodedata.category(char) == "Cc"
