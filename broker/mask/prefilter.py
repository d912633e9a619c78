"""Which detectors could find anything at all in some bytes: a few substring searches.

Most text holds nothing, and this is what it costs to know. Each test is a necessary condition:
when it says no, its detector finds nothing, in the whole or in any part.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from broker.mask.credentials import HINT
from broker.mask.numbers import IBAN_COUNTRIES
from broker.mask.rules import DETECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Every digit as 0, every letter as A or a: a shape becomes a substring.
_SHAPE = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    b"0" * 10 + b"A" * 26 + b"a" * 26,
)
_CALLED = (b"000-000-0000", b"000.000.0000", b"000 000 0000", b"000 000-0000")
_AREA = (b")000", b") 000")
_PLUS = re.compile(rb"\+[1-9][0-9 ().-]{7}")
_IBAN_HEADS = (b"AA00", b"aa00", b"Aa00", b"aA00")
# Behind no character of a word. In rows a cell may begin there as well: its length stands before
# it in four bytes, the first of which is no character of a text.
_ALONE = rb"(?<![A-Za-z0-9_])"
_ALONE_IN_ROWS = rb"(?s:(?<![A-Za-z0-9_])|(?<=[\x00-\x04]...))"
_COUNTRY = "|".join(f"[{c[0]}{c[0].lower()}][{c[1]}{c[1].lower()}]" for c in sorted(IBAN_COUNTRIES))
_ACCOUNT = rb"(?:%s)[0-9]{2}(?:[A-Za-z0-9]{11}| [A-Z0-9]{4} [A-Z0-9])" % _COUNTRY.encode()
_NUMBER = rb"[0-9](?:[ -]?[0-9]){12}"
_IBAN, _IBAN_IN_ROWS = (
    re.compile(rb"(?:%s|(?<=_))%s" % (alone, _ACCOUNT)) for alone in (_ALONE, _ALONE_IN_ROWS)
)
_CARD, _CARD_IN_ROWS = (re.compile(alone + _NUMBER) for alone in (_ALONE, _ALONE_IN_ROWS))


_SHORT, _REMEMBERED = 256, 1024  # bytes of a text, and how many of them


class Prefilter:
    """Names the detectors, of those that it was given, that have to look at some bytes."""

    def __init__(self, detect: Iterable[str]) -> None:
        self._tests = [(name, _TESTS[name]) for name in detect]

    def __call__(self, data: bytes) -> list[str]:
        """The detectors that have to look."""
        shape = data.translate(_SHAPE)
        return [name for name, test in self._tests if test(data, shape)]

    def in_rows(self, block: bytes) -> bool:
        """Has any to look at these DataRow messages? Their lengths between the cells do no harm."""
        shape = block.translate(_SHAPE)
        return any(_IN_ROWS.get(name, test)(block, shape) for name, test in self._tests)


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


def _maybe_card(data: bytes, shape: bytes, pattern: re.Pattern[bytes] = _CARD) -> bool:
    return b"0000000000000" in shape.translate(None, b" -") and pattern.search(data) is not None


def _maybe_ssn(_: bytes, shape: bytes) -> bool:
    return b"000-00-0000" in shape or b"000 00 0000" in shape


def _maybe_iban(data: bytes, shape: bytes, pattern: re.Pattern[bytes] = _IBAN) -> bool:
    for head in _IBAN_HEADS:
        at = shape.find(head)
        while at >= 0:
            if pattern.match(data, at):
                return True
            at = shape.find(head, at + 1)
    return False


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

_IN_ROWS: dict[str, Callable[[bytes, bytes], bool]] = {
    "credit_card": partial(_maybe_card, pattern=_CARD_IN_ROWS),
    "iban": partial(_maybe_iban, pattern=_IBAN_IN_ROWS),
}
