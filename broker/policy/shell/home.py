"""``~`` written out, so that rules on paths see where a word leads and the target need not."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from broker.policy.shell.tree import Node, Simple, Text, Word

T = TypeVar("T")


def at_home(node: Node, home: str) -> Node:
    """The same commands with the home directory in place of ``~``, and after a bare ``cd``."""
    return _written_out(node, home.rstrip("/"))


def _written_out(value: T, home: str) -> T:
    """Any part of a tree; what holds no home stays as it is."""
    new: Any = value
    if isinstance(value, Word):
        new = _word(Word(_written_out(value.pieces, home)), home)
    elif isinstance(value, tuple):
        new = tuple(_written_out(each, home) for each in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _written_out(getattr(value, field.name), home) for field in fields(value)
        }
        new = replace(value, **changed)
        if isinstance(new, Simple) and [word.literal for word in new.words] == ["cd"]:
            new = replace(new, words=(*new.words, Word((Text(home or "/"),))))
    return new  # type: ignore[no-any-return]


def _word(word: Word, home: str) -> Word:
    if not word.has_home:
        return word
    rest = "".join(piece.text for piece in word.pieces[1:2])  # a text that begins with a slash
    return Word((Text(home + rest or "/"), *word.pieces[2:]))
