from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.mask.detect import spans
from broker.mask.prefilter import Prefilter
from broker.mask.rules import DETECTORS
from tests.broker.mask.samples import CASES, INNOCENT, KEY


def found(text: str) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in spans(text, DETECTORS)]


@pytest.mark.parametrize(("name", "text", "secret"), CASES)
def test_a_value_is_found_whole_whatever_is_around_it(name: str, text: str, secret: str) -> None:
    for around in ("{}", "x {} y", '"{}"', "| {} |", "{}\n", "({}),", "é={};"):
        assert (name, secret) in found(around.format(text)), around


@pytest.mark.parametrize(("name", "text", "secret"), CASES)
def test_only_the_detectors_asked_for_look(name: str, text: str, secret: str) -> None:
    others = [other for other in DETECTORS if other != name]
    assert name not in {span.type for span in spans(text, others)}
    assert spans(text, ()) == []


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_a_value_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_neighbours_are_told_apart() -> None:
    assert found("1 4111111111111111 99") == [("credit_card", "4111111111111111")]
    assert found("+14155552671 42") == [("phone", "+14155552671")]
    assert found("a@b.com,c@d.org") == [("email", "a@b.com"), ("email", "c@d.org")]
    assert found("AB12 DE89 3704 0044 0532 0130 00") == [("iban", "DE89 3704 0044 0532 0130 00")]


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        KEY.replace("\n", " "),
        KEY.replace("\n", "\\n"),
        KEY.replace("\n", " +\n | "),
        KEY.replace("KEY-----\nMII", "KEY-----\nProc-Type: 4,ENCRYPTED\n\nMII", 1),
    ],
)
def test_a_private_key_is_masked_to_its_end_and_counted_once(key: str) -> None:
    text = f"before\n{key}\nafter"
    result = spans(text, ("secrets",))
    shown = list(text)
    for span in result:
        shown[span.start : span.end] = "*" * (span.end - span.start)
    left = "".join(shown)
    for part in ("MIIEow", "CDEFGH", "shortEnd"):
        assert part not in left
    assert "-----END RSA PRIVATE KEY-----" in left
    assert "after" in left
    assert sum(not span.continues for span in result) == 1


def test_a_key_without_a_body_does_not_swallow_what_follows() -> None:
    text = "conf:-----BEGIN RSA PRIVATE KEY-----\nroot\nother text, and a long day\n"
    assert found(text) == []
    cut = KEY.partition("CDEF")[0] + "root\ntotal 12 of it\n"
    assert [value for _, value in found(cut)][1:] == ["root"]  # one short word may be its end


ALPHABET = st.sampled_from(
    [
        *"aA1 4@.-+()'\"\\:=/\n",
        "pass",
        "word",
        "token",
        "4111",
        "DE89",
        "KEY-----",
        "-----BEGIN ",
        "é",
    ]
)


@given(st.lists(ALPHABET | st.sampled_from([text for _, text, _ in CASES]), max_size=30))
@settings(max_examples=200, deadline=None)
def test_spans_are_in_order_apart_and_inside(parts: list[str]) -> None:
    text = "".join(parts)
    end = 0
    for span in spans(text, DETECTORS):
        assert end <= span.start < span.end <= len(text)
        end = span.end


@given(st.lists(ALPHABET | st.sampled_from([text for _, text, _ in CASES]), max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_prefilter_never_hides_a_value(parts: list[str]) -> None:
    text = "".join(parts)
    wanted = set(Prefilter(DETECTORS)(text.encode()))
    assert {span.type for span in spans(text, DETECTORS)} <= wanted


ADVERSARIAL = [
    "a", "1", "a@", "@", "+1 ", "a.", "4111 ", "1 ", "DE89 ", "://", "password=", "pass", "(1)",
    "'", "password='", "\\", "eyJ", "-----BEGIN ", "ghp_a", "a@b.", "+", "AB12", "\n", " ", "\t",
]  # fmt: skip


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_cost_grows_with_length_and_no_faster(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit)) + "@x"
        began = time.thread_time()  # others may run in between
        spans(text, DETECTORS)
        return time.thread_time() - began

    seconds(1000)
    small = min(seconds(12_000) for _ in range(2))
    large = min(seconds(48_000) for _ in range(2))
    assert large < 12 * small + 0.05
