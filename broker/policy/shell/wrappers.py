"""Commands that run the command in their own words: where the inner one begins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.policy.shell import names
from broker.policy.shell.tree import Refused
from broker.policy.shell.ways_out import base


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How a wrapper's own words are read.

    `alone` are options without a value; `valued` take one, attached, after ``=`` or as the next
    word; `looks` are options that only look something up. `operands` stand before the command.
    `why` is set when a rule must name the wrapper itself.
    """

    alone: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()
    looks: frozenset[str] = frozenset()
    operands: int = 0
    variables: bool = False
    why: str = ""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


WRAPPERS = {
    "command": Wrapper(alone=_set("-p"), looks=_set("-v -V")),
    "builtin": Wrapper(),
    "nohup": Wrapper(looks=_set("--help --version")),
    "nice": Wrapper(valued=_set("-n --adjustment")),
    "ionice": Wrapper(alone=_set("-t"), valued=_set("-c -n --class --classdata")),
    "timeout": Wrapper(
        alone=_set("-v --verbose --foreground --preserve-status"),
        valued=_set("-k -s --kill-after --signal"),
        operands=1,
    ),
    "stdbuf": Wrapper(valued=_set("-i -o -e --input --output --error")),
    "time": Wrapper(alone=_set("-p -v --portability --verbose")),
    "env": Wrapper(
        alone=_set("- -i --ignore-environment"), valued=_set("-u --unset"), variables=True
    ),
    "sudo": Wrapper(
        alone=_set("-n -H -k -S --non-interactive --set-home --stdin"),
        valued=_set("-u -g --user --group"),
        looks=_set("-l -v -K --list --validate --remove-timestamp"),
        why="sudo runs a command as another user",
    ),
    "doas": Wrapper(alone=_set("-n"), valued=_set("-u"), why="doas runs a command as another user"),
    "xargs": Wrapper(
        alone=_set("-0 -r -t -x --null --no-run-if-empty --verbose --exit"),
        valued=_set("-n -P -I -L -d -s --max-args --max-procs --max-lines --delimiter --replace"),
        why="xargs takes the last words of its command from its input",
    ),
}


def inner(words: tuple[str, ...]) -> int | None:
    """The index at which the wrapped command begins; None when nothing is wrapped.

    Raises Refused when the words do not say it.
    """
    name = base(words[0])
    wrapper = WRAPPERS.get(name)
    if wrapper is None:
        return None
    at = _after_options(name, wrapper, words)
    if at is None:
        return None
    at += wrapper.operands
    while wrapper.variables and at < len(words) and "=" in words[at]:
        _check_variable(words[at])
        at += 1
    return at if at < len(words) else None


def _after_options(name: str, wrapper: Wrapper, words: tuple[str, ...]) -> int | None:
    at = 1
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        if word == "--":
            return at + 1
        if word in wrapper.looks:
            return None
        if word in wrapper.valued:
            at += 2
        elif word in wrapper.alone or _has_value(word, wrapper) or _is_level(name, word):
            at += 1
        else:
            raise Refused(f"option {word} of {name}", "which command it runs is not certain")
    return at


def _has_value(word: str, wrapper: Wrapper) -> bool:
    """``-o0`` or ``--output=0``: the value is attached."""
    if word.startswith("--"):
        return "=" in word and word.split("=", 1)[0] in wrapper.valued
    return len(word) > 2 and word[:2] in wrapper.valued


def _is_level(name: str, word: str) -> bool:
    return name == "nice" and re.fullmatch(r"-[0-9]+", word) is not None


def _check_variable(word: str) -> None:
    name = word.split("=", 1)[0]
    if name not in names.HARMLESS and not name.startswith("LC_"):
        raise Refused(f"{name}= before a command", "only LANG, LC_* and TZ may be set so")
