"""The patterns of rules: tables, functions, command words, paths and plain names.

What allows must match exactly. What denies must not be dodged by another spelling or by words put
in between (`loose`): options count as a set, `/bin/rm` is `rm`, other operands do not matter, a
function counts in any schema. A review stands between: see Fit.
"""

from __future__ import annotations

import posixpath
import re
from enum import Enum
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from broker.policy.options import asked, atoms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MARK = "⟨"
ANY, ONE, ALL = "⟨*⟩", "⟨?⟩", "⟨**⟩"
"""Marks in what is judged, for what only the target knows: any characters but slashes, one of
them, and any characters at all. Only a deny or a review reads them. Another text after the first
sign is a word that nobody knows: what allows meets it by a bare `*` or `**` alone.
"""

BARE = frozenset({"*", "**", "*.*", "**.*", "*.**"})
"""Patterns that name nothing."""


@lru_cache(maxsize=4096)
def _regex(pattern: str, star: str) -> re.Pattern[str]:
    """`**` any characters; `*` the characters that `star` says; the rest literally."""
    pieces = re.split(r"(\*+)", pattern)
    wild = (piece and (".*" if len(piece) > 1 else star) for piece in pieces[1::2])
    literal = (re.escape(piece) for piece in pieces[0::2])
    woven = "".join(text for pair in zip(literal, (*wild, ""), strict=True) for text in pair)
    return re.compile(woven, re.DOTALL)


def name(pattern: str, text: str) -> bool:
    """A plain name (a target, a claim's value): `*` is any characters."""
    return _regex(pattern, ".*").fullmatch(text) is not None


def table(pattern: str, text: str) -> bool:
    """`schema.table`; `*` is any, within its half; a pattern without a dot is of public."""
    if pattern in {"*", "**"}:
        return True
    wanted = _halves(pattern) or (("public", pattern) if "." not in pattern else None)
    given = _halves(text)
    if wanted is None or given is None:
        return False
    return name(wanted[0], given[0]) and name(wanted[1], given[1])


def _halves(text: str) -> tuple[str, str] | None:
    """Schema and table of `schema.table`, where a half in double quotes may hold dots."""
    match = re.fullmatch(r'("(?:[^"]|"")*"|[^".]*)\.("(?:[^"]|"")*"|[^".]*)', text, re.DOTALL)
    return (match[1], match[2]) if match else None


def function(pattern: str, text: str, *, loose: bool = False) -> bool:
    """A function as it is called; a pattern without a dot is of public or pg_catalog."""
    if name(pattern, text):
        return loose or "." in pattern or "." not in text
    if "." in pattern:
        return False
    schema, _, rest = text.rpartition(".")
    return (loose or schema == "public") and name(pattern, rest)


def path(pattern: str, text: str) -> bool:
    """A file: `*` is any characters but a slash, `**` any."""
    return _regex(pattern, "[^/]*").fullmatch(text) is not None


def meets(pattern: str, text: str) -> bool:
    """May a path with marks be a file that the pattern is about?"""
    if MARK not in text:
        return path(pattern, text)
    stars = {"*": ANY, "**": ALL}
    wanted = [stars.get(each[:2], each) for each in re.findall(r"\*+|[^*]", pattern)]
    return _meet(wanted, re.findall(r"⟨(?:\*\*?|\?)⟩|.", text, re.DOTALL))


def _meet(left: Sequence[str], right: Sequence[str]) -> bool:
    """Is there a text that both sequences of characters and marks accept?"""
    todo, seen = [(0, 0)], set()
    while todo:
        at = i, j = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        if i == len(left) and j == len(right):
            return True
        a, b = (*left[i : i + 1], ""), (*right[j : j + 1], "")
        todo += [(i + 1, j)] * (a[0] in (ANY, ALL)) + [(i, j + 1)] * (b[0] in (ANY, ALL))
        if a[0] and b[0] and _share(a[0], b[0]):
            todo.append((i + (a[0] not in (ANY, ALL)), j + (b[0] not in (ANY, ALL))))
    return False


def _share(one: str, other: str) -> bool:
    """Is there a character that both accept?"""
    if ALL in (one, other) or one == other:
        return True
    if len(one) > 1:
        return other != "/"
    return len(other) > 1 and one != "/"


def names_program(pattern: str) -> bool:
    """Does a command pattern say which program it is about?"""
    return "*" not in (pattern.split() or ["*"])[0]


class Fit(Enum):
    """How a command must fit a pattern."""

    EXACT = "word by word"
    MEANING = "the same options, in any spelling and order, and the same operands"
    WITHIN = "at least these options, and these operands among others"


def command(pattern: str, words: Sequence[str], fit: Fit = Fit.EXACT) -> bool:
    """Does a simple command fit a pattern?"""
    wanted = pattern.split()
    if _words(wanted, words, _word):
        return True
    return fit is not Fit.EXACT and bool(wanted) and bool(words) and _means(wanted, words, fit)


def _word(pattern: str, word: str) -> bool:
    if pattern == "*":
        return True
    if MARK in word:
        return False  # what only the target knows may be anything, this pattern or not
    if "*" in pattern and ".." in word.split("/"):
        return False  # a way out of the directory that the pattern speaks of
    return path(pattern, word)


def _loose_word(pattern: str, word: str) -> bool:
    normal = re.sub("^//+", "/", posixpath.normpath(word)) if word else word
    return _word(pattern, word) or _word(pattern, normal)


def _may_word(pattern: str, word: str) -> bool:
    return _loose_word(pattern, word) or (MARK in word and meets(pattern, word))


def _words(
    wanted: Sequence[str],
    words: Sequence[str],
    match: Callable[[str, str], bool],
    *,
    among_others: bool = False,
) -> bool:
    @cache
    def fits(i: int, j: int) -> bool:
        if i == len(wanted):
            return among_others or j == len(words)
        if wanted[i] == "**":
            return any(fits(i + 1, k) for k in range(len(words), j - 1, -1))
        if j == len(words):
            return False
        if among_others and fits(i, j + 1):
            return True
        if i == len(wanted) - 1 and "**" in wanted[i] and not among_others:
            return all(match(wanted[i], word) for word in words[j:])
        return match(wanted[i], words[j]) and fits(i + 1, j + 1)

    return fits(0, 0)


def _means(wanted: Sequence[str], words: Sequence[str], fit: Fit) -> bool:
    program = posixpath.basename(words[0])
    if not (_word(wanted[0], program) or _loose_word(wanted[0], words[0])):
        return False
    need, pattern = _taken_apart(program, wanted[1:], asked)
    have, operands = _taken_apart(program, words[1:], atoms)
    if fit is not Fit.WITHIN:
        return need <= have and _words(pattern, operands, _loose_word)
    anything = any(MARK in word and word[0] in f"-{MARK}" for word in words)  # options, too
    return (need <= have or anything) and _words(pattern, operands, _may_word, among_others=True)


def _taken_apart(
    program: str, words: Sequence[str], meaning: Callable[[str, str], frozenset[str]]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Options, wherever they stand, as a set; the other words in their order."""
    options: set[str] = set()
    operands: list[str] = []
    ended = False
    for word in words:
        if word == "--" and not ended:
            ended = True
        elif word.startswith("-") and len(word) > 1 and not ended:
            options |= meaning(program, word)
        else:
            operands.append(word)
    return frozenset(options), tuple(operands)
