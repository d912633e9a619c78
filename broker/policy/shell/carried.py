"""Commands that other commands carry in their words and run elsewhere or for each file.

``find -exec rm {} ;`` and ``ssh host 'rm x'``: what is carried is judged like any command, beside
the one that carries it, which a rule must name all the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.policy.shell import ways_out
from broker.policy.shell.tree import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.policy.shell.tree import Word

FOUND = "{}"
_RUNS = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
_SSH_ALONE = re.compile(r"-[46AaCfGgKkMNnqsTtVvXxYy]+")
_SSH_VALUED = re.compile(r"-[46AaCfGgKkMNnqsTtVvXxYy]*[BbcDEeFIiJLlmOopQRSWw]")


def by_find(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    """The commands that this ``find`` runs, ``{}`` and all."""
    if ways_out.base(words[0].text) != "find":
        return
    begins: int | None = None
    for at, word in enumerate(words):
        if begins is None:
            begins = at + 1 if word.text in _RUNS else None
        elif word.literal == ";" or (word.literal == "+" and words[at - 1].literal == FOUND):
            yield words[begins:at]
            begins = None
    if begins is not None:
        yield words[begins:]


def by_ssh(words: tuple[Word, ...]) -> str | None:
    """The text that the other machine's shell is given; None when there is none.

    Raises Refused when the words do not say it.
    """
    if ways_out.base(words[0].text) not in ("ssh", "slogin"):
        return None
    rest = list(words[1:])
    host = False
    while rest:
        text = rest[0].text
        if rest[0].is_unknown:
            raise Refused(f"{text} in the words of ssh", "write the host and the command out")
        if text == "--" or _SSH_ALONE.fullmatch(text):
            rest.pop(0)
        elif _SSH_VALUED.fullmatch(text):
            del rest[:2]
        elif _SSH_VALUED.match(text):
            rest.pop(0)
        elif host:
            break
        else:
            host = True
            rest.pop(0)
    if any(word.literal is None for word in rest):
        raise Refused("a command for ssh that is not known", "write it out")
    return " ".join(word.text for word in rest) or None
