from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from broker.config.shapes import (
    BAD,
    ByKind,
    Claim,
    Duration,
    Fields,
    Named,
    Section,
    Several,
    Shape,
    Text,
    TextOr,
    Truth,
    Whole,
)
from broker.config.source import Problems, parse

DURATION = Duration(timedelta(), timedelta(days=7))
SECTION = Section({"name": Text(), "size": Whole(0, 9)}, required=("name",))


def check(shape: Shape, text: str) -> tuple[Any, list[str]]:
    problems = Problems("f")
    tree = parse(text.encode(), problems)
    assert tree is not None
    return shape.check(tree, "key", problems), [problem.message for problem in problems.found]


@pytest.mark.parametrize(
    ("shape", "text", "value"),
    [
        (Text(), "hello", "hello"),
        (Text(), "'no'", "no"),
        (Text(choices=("a", "b")), "b", "b"),
        (Whole(0, 10_000), "10_000", 10_000),
        (Whole(-5, 5), "-5", -5),
        (Truth(), "true", True),
        (Truth(), "false", False),
        (DURATION, "10s", timedelta(seconds=10)),
        (DURATION, "15m", timedelta(minutes=15)),
        (DURATION, "1h", timedelta(hours=1)),
        (DURATION, "2d", timedelta(days=2)),
        (Claim(), "true", "true"),
        (Claim(), "42", "42"),
        (Several(Text()), "[a, b]", ("a", "b")),
        (Several(Text(), or_one=True), "a", ("a",)),
        (Several(Text(), may_be_empty=True), "[]", ()),
        (Named(Text(), Whole(0, 9)), "{a: 1}", {"a": 1}),
        (TextOr(Text(), SECTION), "a", "a"),
        (TextOr(Text(), SECTION), "{name: a}", {"name": "a"}),
    ],
)
def test_accepted(shape: Shape, text: str, value: object) -> None:
    assert check(shape, text) == (value, [])


@pytest.mark.parametrize(
    ("shape", "text", "said"),
    [
        (Text(), "no", 'key: YAML takes no for true or false; for a text write "no"'),
        (Text(), "12345", "key: YAML takes this for a number; for a text put it in quotes"),
        (Text(), "12:30", "key: YAML takes this for a number; for a text put it in quotes"),
        (Text(), "2024-01-01", "key: YAML takes this for a date; for a text put it in quotes"),
        (Text(), "~", "key: YAML takes this for nothing; for a text put it in quotes"),
        (Text(), "[a]", "key: must be a text"),
        (Text(), "''", "key: must not be empty or hold control characters"),
        (Text(), r'"a\0b"', "key: must not be empty or hold control characters"),
        (Text(choices=("a", "b")), "c", "key: `c` is not one of a, b"),
        (Text(pattern="[a-z]+", form="a word"), "a1", "key: `a1` is not a word"),
        (Text(pattern="[a-z]+", form="a word"), '"ab\\n"', "key: `ab\n` is not a word"),
        (Whole(0, 9), "10", "key: must be from 0 to 9"),
        (Whole(0, 999), "0x10", "key: must be a whole number in decimal"),
        (Whole(0, 999), "010", "key: must be a whole number in decimal"),
        (Whole(0, 9999), "12:30", "key: must be a whole number in decimal"),
        (Whole(0, 9), "'1'", "key: must be a whole number in decimal"),
        (Whole(0, 9), "1.0", "key: must be a whole number in decimal"),
        (Truth(), "yes", "key: must be true or false"),
        (Truth(), "'true'", "key: must be true or false"),
        (DURATION, "15", "key: must be a duration such as 10s, 15m, 1h or 2d"),
        (DURATION, "15 m", "key: must be a duration such as 10s, 15m, 1h or 2d"),
        (DURATION, "-1m", "key: must be a duration such as 10s, 15m, 1h or 2d"),
        (DURATION, "1w", "key: must be a duration such as 10s, 15m, 1h or 2d"),
        (DURATION, "1.5h", "key: must be a duration such as 10s, 15m, 1h or 2d"),
        (DURATION, "99d", "key: must be from 0:00:00 to 7 days, 0:00:00 (h:mm:ss)"),
        (Claim(), "1.5", "key: must be a text, a whole number, true or false"),
        (Several(Text()), "a", "key: must be a list"),
        (Several(Text()), "[]", "key: must not be empty"),
        (Named(Text(), Text()), "[a]", "key: must be a mapping"),
        (SECTION, "[a]", "key: must be a mapping"),
        (SECTION, "{size: 1}", "key: the key `name` is missing"),
        (ByKind({"a": SECTION}), "{name: x}", "key: the key `kind` is missing"),
    ],
)
def test_refused(shape: Shape, text: str, said: str) -> None:
    assert check(shape, text)[1] == [said]


def test_a_section_keeps_what_is_good_and_says_that_not_all_is() -> None:
    fields, said = check(SECTION, "{name: a, size: x, nme: b}")
    assert isinstance(fields, Fields)
    assert fields == {"name": "a"}
    assert not fields.whole
    assert said == [
        "key.size: must be a whole number in decimal",
        "key.nme: unknown key `nme`",
    ]


def test_a_bad_item_does_not_hide_the_others() -> None:
    value, said = check(Several(Whole(0, 9)), "[1, x, 99, 2]")
    assert value == (1, 2)
    assert [message.split(":")[0] for message in said] == ["key[1]", "key[2]"]


def test_exactly_one() -> None:
    shape = Section({"a": Text(), "b": Text()}, exactly_one=True)
    assert check(shape, "{a: x}")[1] == []
    assert check(shape, "{a: x, b: y}")[1] == ["key: exactly one of a, b is needed"]
    assert check(shape, "{}")[1] == ["key: exactly one of a, b is needed"]


def test_names_are_remembered_even_of_what_is_bad() -> None:
    fields, _ = check(Named(Text(), Whole(0, 9)), "{a: 1, b: x}")
    assert fields == {"a": 1}
    assert fields.names == ("a", "b")
    assert check(Whole(0, 1), "x")[0] is BAD
