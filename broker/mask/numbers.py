"""Numbers that name a person or an account: cards, US social security numbers, IBANs, phones.

Checksums, issuer ranges and shapes keep other numbers out: identifiers, times, addresses and
versions are long digits too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEQUENCE = re.compile(r"(?<!\w)[0-9](?:[ -]?[0-9])*")
_GROUP = re.compile(r"[0-9]+")
_DOUBLED = str.maketrans("0123456789", "0246813579")  # the digit sum of twice the digit

# Issuer ranges: first digits, then the lengths that go with them.
_ISSUERS = re.compile(
    r"""
      4(?:.{12}|.{15}|.{18})                                          # Visa
    | (?:5[1-5]|222[1-9]|22[3-9].|2[3-6]..|27[01].|2720).*(?<=^.{16}) # Mastercard
    | 3[47].{13}                                                      # American Express
    | (?:30[0-5]|36.|3[89].).{11,16}                                  # Diners Club
    | 35(?:2[89]|[3-8].).{12,15}                                      # JCB
    | (?:6011|64[4-9].|65..|62..).{12,15}                             # Discover, UnionPay
    | (?:5018|5020|5038|5893|6304|6759|676[1-3]).{9,15}               # Maestro
    """,
    re.VERBOSE,
)
_SHAPES = ((4, 6, 5), (4, 6, 4))  # American Express, Diners; all others have groups of one size
_FEWEST, _MOST = 13, 19


def passes_luhn(digits: str) -> bool:
    """Do these digits end in the right check digit?"""
    own = sum(map(int, digits[-1::-2]))
    return (own + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def cards(run: str) -> Iterator[tuple[int, int]]:
    """Payment card numbers: 13 to 19 digits of a known issuer, single blanks or dashes between."""
    for sequence in _SEQUENCE.finditer(run):
        if sequence.end() - sequence.start() < _FEWEST:
            continue
        groups = [m.span() for m in _GROUP.finditer(run, *sequence.span())]
        taken = 0
        for first, (start, _) in enumerate(groups):
            if start >= taken and (end := _card_end(run, groups, first)):
                yield start, end
                taken = end


def _card_end(run: str, groups: list[tuple[int, int]], first: int) -> int:
    """Where the longest card that begins with this group ends, or 0."""
    start = groups[first][0]
    if run[start] not in "23456" or (
        start > 1 and run[start - 1] == "." and run[start - 2].isdigit()
    ):
        return 0
    best, digits = 0, ""
    sizes: list[int] = []
    for begin, end in groups[first : first + _MOST]:
        if sizes and run[begin - 1] != run[groups[first][1]]:
            break  # another separator: another number
        digits += run[begin:end]
        sizes.append(end - begin)
        if len(digits) > _MOST:
            break
        if len(digits) >= _FEWEST and _is_card(digits, sizes) and _ends_number(run, end):
            best = end
    return best


def _is_card(digits: str, sizes: list[int]) -> bool:
    even = all(size == sizes[0] for size in sizes[:-1]) and sizes[-1] <= sizes[0]
    shaped = even or tuple(sizes) in _SHAPES
    return shaped and _ISSUERS.fullmatch(digits) is not None and passes_luhn(digits)


def _ends_number(run: str, end: int) -> bool:
    after = run[end : end + 2]
    return not (
        after[:1].isalnum() or after[:1] == "_" or (after[:1] == "." and after[1:].isdigit())
    )


_SSN = re.compile(
    r"""
    (?<![\w+])(?<![0-9][.-])(?!000|666|9)[0-9]{3}
    (?: -(?!00)[0-9]{2}-(?!0000)[0-9]{4}
      | (?<![0-9][ ]...)[ ](?!00)[0-9]{2}[ ](?!0000)[0-9]{4}(?![ ][0-9])   # not in a row of numbers
    )(?!\w|[.-][0-9])
    """,
    re.VERBOSE,
)


def us_ssns(run: str) -> Iterator[tuple[int, int]]:
    """US social security numbers, with dashes or blanks; nine bare digits are too often others."""
    return (m.span() for m in _SSN.finditer(run))


_IBAN = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30}+"
    r"|[A-Z]{2}[0-9]{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)"
)
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE BI",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BF CF CG CM DJ FR GR IT MC MG ML MR SM",
        28: "AL AZ BJ BY CI CY DO DZ GT HN HU KM LB MA NE NI PL SN SV TD TG",
        29: "BR EG GW MZ PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
IBAN_COUNTRIES = frozenset(_IBAN_LENGTHS)


def ibans(run: str) -> Iterator[tuple[int, int]]:
    """IBANs of a country's own length whose check digits are right, in one piece or in fours."""
    at = 0
    while m := _IBAN.search(run, at):
        length = _IBAN_LENGTHS.get(m.group()[:2].upper())
        end = _iban_end(run, m.start(), m.end(), length) if length else 0
        if end:
            yield m.start(), end
        at = end or m.start() + 2


def _iban_end(run: str, start: int, limit: int, length: int) -> int:
    seen, at = 0, start
    while at < limit and seen < length:
        seen += run[at] != " "
        at += 1
    if seen < length or run[at : at + 1].isalnum():
        return 0
    plain = run[start:at].replace(" ", "").upper()
    turned = plain[4:] + plain[:4]
    return at if int("".join(str(int(c, 36)) for c in turned)) % 97 == 1 else 0


_INTERNATIONAL = re.compile(
    r"(?<![\w+])\+[1-9](?:[0-9]|[ .-](?=[0-9(])|\((?=[0-9])|\)(?=[ .-]?[0-9])){5,40}"
)
_NORTH_AMERICAN = re.compile(
    r"""
    (?<![\w+])(?<![0-9][.-])
    (?: (?:1[ .-])?\([2-9][0-9]{2}\)[ ]?[2-9][0-9]{2}[ .-][0-9]{4}
      | (?:1[.-])?[2-9][0-9]{2}([.-])[2-9][0-9]{2}\1[0-9]{4}
      | (?<![0-9][ ])[2-9][0-9]{2}[ ][2-9][0-9]{2}[ -][0-9]{4}(?![ ][0-9])
    )(?!\w|[.-][0-9])
    """,
    re.VERBOSE,
)


def phones(run: str) -> Iterator[tuple[int, int]]:
    """Phone numbers: international ones with a plus, and North American ones with separators."""
    for m in _INTERNATIONAL.finditer(run):
        if end := _phone_end(run, m.start(), m.end()):
            yield m.start(), end
    for m in _NORTH_AMERICAN.finditer(run):
        yield m.span()


def _phone_end(run: str, start: int, limit: int) -> int:
    """Where the longest valid number ends: other numbers may follow behind a blank."""
    best, digits = 0, ""
    for group in _GROUP.finditer(run, start, limit):
        digits += group.group()
        if _is_subscriber(digits) and not (run[group.end() : group.end() + 1] or " ").isalnum():
            best = group.end()
    return best


def _is_subscriber(digits: str) -> bool:
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] in "23456789"
    return len(digits) == 11 if digits[0] == "7" else 9 <= len(digits) <= 15
