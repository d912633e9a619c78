"""Brace expansion, as bash does it, of words of shfmt's tree: ``{a,b}``, ``{1..3}``, nested too.

The words are written out, so the target's shell, which may not know braces, sees none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from broker.policy.shell.tree import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    Json = Mapping[str, Any]

WORDS = 256  # that one word may become
_NUMBERS = re.compile(r"(-?\d{1,6})\.\.(-?\d{1,6})(?:\.\.(-?\d{1,6}))?")
_LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.(-?\d{1,3}))?")


def expanded(node: Json) -> list[Json]:
    """The words that one word stands for: itself, when it holds no braces that expand."""
    done: list[Json] = []
    todo = [node]
    while todo:
        each = todo.pop(0)
        split = _first(each)
        if split is None:
            done.append(each)
        else:
            todo = [*split, *todo]
        if len(done) + len(todo) > WORDS:
            raise Refused("brace expansion", f"it makes more than {WORDS} words")
    return done if done == [node] else [each for each in done if each["Parts"]]  # no empty words


def _first(node: Json) -> list[Json] | None:
    """The words with the first expression written out; None when there is none."""
    parts = node.get("Parts", ())
    for at, part in enumerate(parts):
        if part.get("Type") != "Lit":
            continue
        found = _expression(part["Value"])
        if found is not None:
            before, choices, after = found
            return [
                {**node, "Parts": [*parts[:at], *_lit(part, before + choice + after, parts, at)]}
                for choice in choices
            ]
    return None


def _lit(part: Json, text: str, parts: list[Json], at: int) -> list[Json]:
    literal = [{**part, "Value": text}] if text else []
    return [*literal, *parts[at + 1 :]]


def _expression(value: str) -> tuple[str, list[str], str] | None:
    """What stands before the first brace expression, its choices, and what follows it."""
    at = 0
    while at < len(value):
        if value[at] == "\\":
            at += 2
            continue
        if value[at] == "{" and (found := _choices(value, at)) is not None:
            choices, end = found
            return value[:at], choices, value[end:]
        at += 1
    return None


def _choices(value: str, start: int) -> tuple[list[str], int] | None:
    """The choices of the expression that begins here, and where it ends."""
    depth, at, begins, choices = 0, start, start + 1, []
    while at < len(value):
        char = value[at]
        if char == "\\":
            at += 1
        elif char == "{":
            depth += 1
        elif char == "," and depth == 1:
            choices.append(value[begins:at])
            begins = at + 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                last = value[begins:at]
                if choices:
                    return [*choices, last], at + 1
                run = _run(last)
                return (run, at + 1) if run is not None else None
        at += 1
    return None


def _run(text: str) -> list[str] | None:
    if match := _NUMBERS.fullmatch(text):
        first, last = int(match[1]), int(match[2])
        texts = (match[1], match[2])
        padded = any(re.match(r"-?0\d", each) for each in texts)
        width = max(map(len, texts)) if padded else 0
        return [_number(each, width) for each in _steps(first, last, match[3])]
    if match := _LETTERS.fullmatch(text):
        if match[1].isupper() != match[2].isupper():
            raise Refused("brace expansion", "from capitals to small letters it has signs, too")
        return [chr(each) for each in _steps(ord(match[1]), ord(match[2]), match[3])]
    return None


def _number(number: int, width: int) -> str:
    sign = "-" if number < 0 else ""
    return sign + str(abs(number)).rjust(width - len(sign), "0")


def _steps(first: int, last: int, step: str | None) -> range:
    size = abs(int(step or 1)) or 1
    numbers = range(first, last + 1, size) if first <= last else range(first, last - 1, -size)
    if len(numbers) > WORDS:
        raise Refused("brace expansion", f"it makes more than {WORDS} words")
    return numbers
