"""Which letters are commands in vi's navigation mode: a closed set, as for all keys.

Left out are macros, indentation and block selection: each lets a few keys make a lot of text, or
make the editor act without end. A count has two digits at most, for the same reason.
"""

from __future__ import annotations

COMMANDS = frozenset("hjklwbeWBE0^$fFtT;,iIaAoOxXdDcCyYpPrRsS~ugGnN/?%{}()|JvV+-" + '"')
COUNT_DIGITS = 2
LEFT_OUT = frozenset({"c-k", "c-t", "c-o"})  # digraphs, indentation, one command from insert mode


def is_command(letter: str, *, begun: bool, count: str) -> bool:
    """May this letter be given to the editor now?

    `begun`: it belongs to a command that has begun (the ``x`` of ``fx``). `count` is the count
    typed so far.
    """
    if begun:
        return letter.isprintable()
    if letter.isdigit() and letter.isascii() and (letter != "0" or count):
        return len(count) < COUNT_DIGITS
    return letter in COMMANDS or letter == " "
