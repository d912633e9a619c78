"""Which detectors could find anything at all in some bytes: a few substring searches.

Most text holds nothing, and this is what it costs to know. Each test is a necessary condition:
when it says no, its detector finds nothing, in the whole or in any part.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from broker.mask.credentials import HINT
from broker.mask.numbers import IBAN_COUNTRIES
from broker.mask.rules import DETECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Every digit as 0, every letter as A or a: a shape becomes a substring.
_SHAPE = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    b"0" * 10 + b"A" * 26 + b"a" * 26,
)
_CALLED = (b"000-000-0000", b"000.000.0000", b"000 000 0000", b"000 000-0000")
_AREA = (b")000", b") 000")
_PLUS = re.compile(rb"\+[1-9][0-9 ().-]{7}")
_IBAN_HEADS = (b"AA00", b"aa00", b"Aa00", b"aA00")
_COUNTRY = "|".join(f"[{c[0]}{c[0].lower()}][{c[1]}{c[1].lower()}]" for c in sorted(IBAN_COUNTRIES))
_IBAN = re.compile(rb"(?:%s)[0-9]{2}(?:[A-Za-z0-9]{11}| [A-Z0-9]{4} [A-Z0-9])" % _COUNTRY.encode())
_CARD = re.compile(rb"(?<![A-Za-z0-9_])[0-9](?:[ -]?[0-9]){12}")
_LONG = re.compile(rb"0[0 -]{12,}")
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_SHORT, _REMEMBERED = 256, 1024  # bytes of a text, and how many of them


class Prefilter:
    """Names the detectors, of those that it was given, that have to look at some bytes."""

    def __init__(self, detect: Iterable[str]) -> None:
        self._tests = [(name, _TESTS[name]) for name in detect]

    def __call__(self, data: bytes) -> list[str]:
        """The detectors that have to look."""
        shape = data.translate(_SHAPE)
        return [name for name, test in self._tests if test(data, shape)]

    def in_rows(self, block: bytes) -> Iterator[int]:
        """Where in these DataRow messages any has to look: one place at least in each such row.

        The lengths between the cells may add to what is found, and never take from it.
        """
        shape = block.translate(_SHAPE)
        for name, test in self._tests:
            if test is not _maybe_card or _has_long(shape):
                yield from _PLACES[name](block, shape)


class Clean:
    """Says of texts that come again and again that no detector has to look at them."""

    def __init__(self, detect: Iterable[str]) -> None:
        self._prefilter = prefilter_of(frozenset(detect))
        self._known: set[bytes] = set()  # clean ones only: what is kept here is no secret

    def __call__(self, data: bytes) -> bool:
        """Is there nothing to look at? When not, there may be."""
        if data in self._known:
            return True
        if self._prefilter(data):
            return False
        if len(data) <= _SHORT:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known.add(data)
        return True


@lru_cache(maxsize=64)
def prefilter_of(detect: frozenset[str]) -> Prefilter:
    """The prefilter of these detectors, in their usual order."""
    return Prefilter(name for name in DETECTORS if name in detect)


def _maybe_email(data: bytes, _: bytes) -> bool:
    return b"@" in data


def _maybe_card(data: bytes, shape: bytes) -> bool:
    return _has_long(shape) and _CARD.search(data) is not None


def _has_long(shape: bytes) -> bool:
    return b"0000000000000" in shape.translate(None, b" -")


def _maybe_ssn(_: bytes, shape: bytes) -> bool:
    return b"000-00-0000" in shape or b"000 00 0000" in shape


def _maybe_iban(data: bytes, shape: bytes) -> bool:
    return any(at == 0 or data[at - 1] not in _WORD - {ord("_")} for at in _accounts(data, shape))


def _accounts(data: bytes, shape: bytes) -> Iterator[int]:
    for head in _IBAN_HEADS:
        for at in _all(shape, head):
            if _IBAN.match(data, at):
                yield at


def _maybe_phone(data: bytes, shape: bytes) -> bool:
    for number in _CALLED:
        if number in shape:
            return True
    if b"+" in data and _PLUS.search(data):
        return True
    return b")" in data and any(number in shape for number in _AREA)


def _maybe_secret(data: bytes, _: bytes) -> bool:
    if b"@" in data and b"://" in data:
        return True
    return HINT.search(data.lower()) is not None


_TESTS: dict[str, Callable[[bytes, bytes], bool]] = {
    "email": _maybe_email,
    "credit_card": _maybe_card,
    "us_ssn": _maybe_ssn,
    "iban": _maybe_iban,
    "phone": _maybe_phone,
    "secrets": _maybe_secret,
}


# -- the same in rows: where --------------------------------------------------------------------


def _all(data: bytes, needle: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


def _begins(block: bytes, at: int) -> bool:
    """Does a word, or a cell, begin here? A cell's length is four bytes, the first of them small,
    which no character of a text is."""
    return at == 0 or block[at - 1] not in _WORD or (at > 3 and block[at - 4] <= 4)


def _emails(block: bytes, _: bytes) -> Iterator[int]:
    return _all(block, b"@")


def _cards(block: bytes, shape: bytes) -> Iterator[int]:
    for m in _LONG.finditer(shape):
        digits = m.group()
        if digits.count(b"0") >= 13 and (_begins(block, m.start()) or not digits.isdigit()):
            yield m.start()


def _ssns(_: bytes, shape: bytes) -> Iterator[int]:
    return chain(_all(shape, b"000-00-0000"), _all(shape, b"000 00 0000"))


def _ibans(block: bytes, shape: bytes) -> Iterator[int]:
    return (at for at in _accounts(block, shape) if _begins(block, at) or block[at - 1] == 0x5F)


def _phones(block: bytes, shape: bytes) -> Iterator[int]:
    for number in (*_CALLED, *_AREA):
        yield from _all(shape, number)
    if b"+" in block:
        yield from (m.start() for m in _PLUS.finditer(block))


def _secrets(block: bytes, _: bytes) -> Iterator[int]:
    if b"@" in block:
        yield from _all(block, b"://")
    yield from (m.start() for m in HINT.finditer(block.lower()))


_PLACES: dict[str, Callable[[bytes, bytes], Iterator[int]]] = {
    "email": _emails,
    "credit_card": _cards,
    "us_ssn": _ssns,
    "iban": _ibans,
    "phone": _phones,
    "secrets": _secrets,
}
