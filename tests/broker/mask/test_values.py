from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.mask.detect import spans
from broker.mask.numbers import passes_luhn
from broker.mask.rules import DETECTORS, Masking, Style
from broker.mask.values import Redactor, mask_text, mask_value, stars
from tests.broker.mask.samples import CASES, width

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("4111 1111 1111 1111", "credit_card", "**** **** **** 1111"),
        ("4111111111111111", "", "************1111"),
        ("078-05-1120", "us_ssn", "***-**-1120"),
        ("+1 (415) 555-2671", "phone", "+* (***) ***-2671"),
        ("alice@example.com", "email", "a****@*******.***"),
        ("alice@example.com", "", "a****@*******.***"),
        ("a@b.de", "email", "a@*.**"),
        ("hunter2-11112222", "secrets", "****************"),
        ("Alice Johnson", "", "*************"),
        ("12345", "", "*****"),  # four of five would be too many
        ("flat 4, 1234567 Long Road Street", "", "*" * 32),  # more text than number
    ],
)
def test_partial_shows_little_and_only_of_what_is_long(
    value: str, kind: str, expected: str
) -> None:
    assert mask_value(value, Style.PARTIAL, kind=kind) == expected


def test_stars_are_as_wide_as_what_they_hide() -> None:
    assert stars("日本@x") == "******"
    assert stars("") == ""


@given(st.text(min_size=1, max_size=40), st.sampled_from(Style))
@settings(max_examples=200)
def test_every_style_keeps_the_width_of_ordinary_text(value: str, style: Style) -> None:
    shown = mask_value(value, style, KEY)
    if style is Style.REDACT:
        assert set(shown) <= {"*"}
        assert len(shown) == width(value)
    elif value.isascii():
        assert len(shown) == len(value)


def test_equal_values_have_equal_pseudonyms_and_others_others() -> None:
    def pseudonym(value: str, key: bytes = KEY, kind: str = "") -> str:
        return mask_value(value, Style.PSEUDONYM, key, kind=kind)

    one = pseudonym("Alice@Example.com")
    assert one == pseudonym("Alice@Example.com")
    assert one.casefold() == pseudonym("alice@example.com").casefold()
    assert one != "Alice@Example.com"
    assert one[0].isupper()
    assert (one[5], one[13]) == ("@", ".")
    assert pseudonym("alice@example.org") != one
    assert pseudonym("Alice@Example.com", b"other" * 8) != one
    assert pseudonym("Alice@Example.com", kind="email") != one


@given(st.integers(10**12, 10**19 - 1))
@settings(max_examples=200)
def test_a_card_s_pseudonym_is_no_card(number: int) -> None:
    shown = mask_value(str(number), Style.PSEUDONYM, KEY, kind="credit_card")
    assert shown.isdigit()
    assert not passes_luhn(shown)
    assert spans(shown, ("credit_card",)) == []


def test_a_pseudonym_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        mask_value("x", Style.PSEUDONYM)


def test_mask_text_masks_the_spans_and_nothing_else() -> None:
    text = "card 4111111111111111 of alice@example.com."
    found = spans(text, DETECTORS)
    assert mask_text(text, found, Style.REDACT) == f"card {'*' * 16} of {'*' * 17}."
    assert mask_text(text, found, Style.PARTIAL) == "card ************1111 of a****@*******.***."
    assert len(mask_text(text, found, Style.PSEUDONYM, KEY)) == len(text)


def test_a_redactor_masks_statements_and_counts() -> None:
    redactor = Redactor(Masking(detect=("email", "secrets")))
    shown = redactor.redact("UPDATE t SET m = 'a@b.com', password = 'x y' -- 4111111111111111")
    assert shown == "UPDATE t SET m = '*******', password = '***' -- 4111111111111111"
    assert redactor.take_counts() == {"email": 1, "secrets": 1}
    assert redactor.take_counts() == {}
    assert Redactor(Masking()).redact("a@b.com") == "a@b.com"


@pytest.mark.parametrize(("name", "text", "secret"), CASES)
def test_redacting_twice_changes_nothing_more(name: str, text: str, secret: str) -> None:
    redactor = Redactor(Masking(detect=DETECTORS))
    once = redactor.redact(f"x {text}\n")
    assert secret not in once
    assert redactor.take_counts() == {name: 1}
    assert redactor.redact(once) == once
