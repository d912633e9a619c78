"""Which variables are known while a line is read in the order in which it will run.

A known value is written out where it is used, so what is judged is what runs whatever the target
thinks of the variable. What is not known is not guessed: it stays a `Value` and is judged as
anything at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.policy.shell import names
from broker.policy.shell.tree import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.policy.shell.tree import Word

STATUS = "?"
# Commands of the shell that may set variables which their words do not show as assignments.
SETTERS = frozenset(
    (
        *("read", "mapfile", "readarray", "getopts", "printf", "wait", "unset", "shift", "set"),
        *("eval", "source", ".", "command", "builtin"),
    )
)


class Scope:
    """The known values; `hidden` ones were never set on the target, only written out here."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})
        self._hidden: set[str] = set()

    def value(self, name: str) -> str | None:
        """The value, or None when only the target knows it. Refused when nobody does."""
        value = self._known.get(name)
        if value is None and name in self._hidden:
            raise Refused(f"${name} here", "its value is not certain any longer; write it out")
        return value

    def assign(self, name: str, value: str | None, *, hidden: bool = False) -> None:
        """A variable gets a value, perhaps one that is not known; `hidden` if by us alone."""
        self._hidden.discard(name)
        if hidden:
            self._hidden.add(name)
        if value is None:
            self._known.pop(name, None)
        else:
            self._known[name] = value

    def forget(self, gone: frozenset[str] | None) -> None:
        """These variables may have changed; None is all of them."""
        for name in list(self._known) if gone is None else gone:
            self._known.pop(name, None)

    def ran(self, words: tuple[Word, ...]) -> None:
        """A command with these words ended: the status is another, and some set variables."""
        self.forget(frozenset([STATUS]))
        if words and words[0].text in SETTERS:
            names = _set_by(words)
            self.forget(names)
            self._hidden -= names or set()

    def fork(self) -> Scope:
        """For a part of the line that may not run, or runs in a shell of its own."""
        copy = Scope(self._known)
        copy._hidden = set(self._hidden)
        return copy

    def join(self, *ends: Scope) -> None:
        """One of these is how it went on: known is what all agree on."""
        first, *others = ends
        self._known = {
            name: value
            for name, value in first._known.items()  # noqa: SLF001
            if all(other._known.get(name) == value for other in others)  # noqa: SLF001
        }
        self._hidden = set().union(*(end._hidden for end in ends))  # noqa: SLF001


def is_format(words: tuple[Word, ...]) -> bool:
    """Does a printf begin with a format, so that no option of it can set a variable?"""
    first = words[1].literal if len(words) > 1 else ""
    return words[0].text == "printf" and first is not None and not first.startswith("-")


def _set_by(words: tuple[Word, ...]) -> frozenset[str] | None:
    """The variables that a setter sets; None when they cannot be told."""
    if is_format(words):
        return frozenset()
    names = [word.literal for word in words[1:]]
    if words[0].text in ("read", "unset") and None not in names:
        return frozenset(name for name in names if name and not name.startswith("-"))
    return None


def check_name(name: str) -> None:
    """Refuse a name whose value changes what programs run."""
    if names.is_dangerous(name):
        raise Refused(f"{name}=", "it changes what programs run")
    if name in names.HARMLESS or name.startswith("LC_"):
        raise Refused(f"{name}= alone", "put it before a command, or use export")
