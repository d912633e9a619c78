from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.mask.detect import spans
from broker.mask.rules import DETECTORS, Masking
from broker.mask.runs import CAP
from broker.mask.stream import PassThrough, StreamMask, new_stream
from broker.mask.values import masked
from tests.broker.mask.samples import CASES, INNOCENT, KEY, ZERO_WIDTH, stream, width

if TYPE_CHECKING:
    from broker.ports import Mask

VALUES = [text for _, text, _ in CASES] + [KEY, KEY.replace("\n", "\r\n"), KEY.replace("\n", "\\n")]
FILLER = [
    *" \n\t'\"\\:=-@.()+/,4aé",
    "\r\n",
    "  ",
    "pass",
    "word",
    "the ",
    "1 ",
    "DE",
    "root",
    "日",
    "a@",
]
MOVES = [
    "\x1b[C",
    "\x1b[3C",
    "\b",
    " \b",
    "4\b",
    "\b\b",
    "\x1b[H",
    "\x1b[2J",
    "\x1b[3b",
    "\x1b",
    "\x00",
]


@st.composite
def texts(draw: st.DrawFn, *, noise: tuple[str, ...]) -> str:
    """Values and filler, each perhaps with noise inside."""
    parts: list[str] = []
    pieces = st.lists(st.sampled_from(VALUES) | st.sampled_from(FILLER), max_size=12)
    for part in draw(pieces):
        at = draw(st.integers(0, len(part)))
        inside = draw(st.sampled_from(("", *noise)))
        parts.append(part[:at] + inside + part[at:])
    return "".join(parts)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(texts(noise=(*ZERO_WIDTH, *MOVES)), CUTS)
@example("'password' => 'it' \b's'", [19])
@example(" \b415-555-2671", [1])
@example("'password' => 'it'é\b's'", [20])
@example("4111 x\b1111 1111 1111", [6])
@settings(max_examples=200, deadline=None)
def test_the_output_is_the_same_however_the_bytes_were_split(text: str, cuts: list[int]) -> None:
    data = text.encode()
    assert stream(split(data, cuts)) == stream([data])


@given(texts(noise=(*ZERO_WIDTH, *MOVES)))
@settings(max_examples=30, deadline=None)
def test_byte_by_byte_is_the_same_as_whole(text: str) -> None:
    data = text.encode()
    assert stream(bytes([byte]) for byte in data) == stream([data])


@given(texts(noise=()), CUTS)
@settings(max_examples=200, deadline=None)
def test_a_stream_masks_what_a_complete_text_masks(text: str, cuts: list[int]) -> None:
    expected = masked(text, spans(text, DETECTORS), 0, len(text))
    assert stream(split(text.encode(), cuts)).decode() == expected


@given(texts(noise=tuple(ZERO_WIDTH)), CUTS)
@settings(max_examples=200, deadline=None)
def test_escapes_inside_a_value_neither_hide_it_nor_get_lost(text: str, cuts: list[int]) -> None:
    bare, kept = text, []
    for escape in sorted(ZERO_WIDTH, key=len, reverse=True):
        bare = bare.replace(escape, "")
    out = stream(split(text.encode(), cuts)).decode()
    shown = out
    for escape in sorted(ZERO_WIDTH, key=len, reverse=True):
        kept.append(out.count(escape) == text.count(escape))
        shown = shown.replace(escape, "")
    assert all(kept)
    assert shown == masked(bare, spans(bare, DETECTORS), 0, len(bare))


@pytest.mark.parametrize(("name", "text", "secret"), CASES)
def test_no_value_survives_any_cut_with_a_pause(name: str, text: str, secret: str) -> None:
    escape = "\x1b]0;t\x07"
    data = f"see {text[:-2]}{escape}{text[-2:]} end\n".encode()
    for cut in range(len(data)):
        out = stream([data[:cut], data[cut:]], idle=True).decode().replace(escape, "")
        assert secret not in out, name
        assert width(out) == width(f"see {text} end\n")


@pytest.mark.parametrize(("name", "text", "secret"), CASES)
def test_a_pause_after_every_byte_never_shows_a_whole_value(
    name: str, text: str, secret: str
) -> None:
    data = f"see {text} end\n".encode()
    out = stream([bytes([byte]) for byte in data], idle=True).decode()
    assert secret not in out, name
    assert width(out) == width(f"see {text} end\n")


def test_a_stress_of_values_in_every_chunk_size() -> None:
    rng = random.Random(11)  # noqa: S311 - the same text each time
    lines = [
        "".join(
            rng.choice(ZERO_WIDTH) if rng.random() < 0.02 else c for c in rng.choice(VALUES) + " "
        )
        + rng.choice(FILLER)
        for _ in range(120)
    ]
    data = "".join(lines).encode()
    whole = stream([data])
    for size in (1, 2, 3, 7, 64, 1000, 9999):
        assert stream(data[at : at + size] for at in range(0, len(data), size)) == whole


@given(st.lists(st.binary(max_size=40), max_size=8))
@settings(max_examples=150, deadline=None)
def test_bytes_that_are_no_text_pass_in_any_split(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert stream(pieces) == stream([data])


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_text_comes_out_byte_for_byte(text: str) -> None:
    data = f"{text}\r\n\x1b[31m{text}\x1b[0m\n".encode()
    assert stream([data]) == data


# -- terminals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111\x1b[1m1111\x1b[0m11111111\n", "****\x1b[1m****\x1b[0m********\n"),
        ("4111\x1b[C1111\x1b[C1111\x1b[1C1111\n", "****\x1b[C****\x1b[C****\x1b[1C****\n"),
        ("415-55 \b5-2671\n", "****** \b******\n"),  # less at the right margin
        ("4\b411111111111111\b11\n", "4\b***************\b**\n"),  # overstruck, as man pages do
        ("41\x1b[14b\n", "*" * 16 + "\n"),  # repeated characters are written out
        ("42\x1b[13b 4\x1b[4b\n", "42" + "2" * 13 + " 44444\n"),
        ("4222222222\x1b[3b\n", "*" * 13 + "\n"),
        ("alice@exam\x1b[3;4Hple.com\n", "alice@exam\x1b[3;4Hple.com\n"),  # a move is a break
        ("\x1b]0;alice@example.com\x07$ ", "\x1b]0;*****************\x07$ "),
        ("\x1b]8;;mailto:a@b.com\x1b\\x\n", "\x1b]8;;mailto:*******\x1b\\x\n"),
        ("a@日本.com\n", "**" + "****" + "****\n"),
        ("\x9b1m4111\x9b0m111111111111\n", "\x9b1m****\x9b0m************\n"),
    ],
)
def test_what_a_terminal_shows_is_what_is_matched(text: str, expected: str) -> None:
    assert stream([text.encode()]).decode() == expected
    assert stream(bytes([byte]) for byte in text.encode()).decode() == expected


def test_a_control_string_without_end_is_dropped_and_what_follows_is_not() -> None:
    title = b"\x1b]0;" + b"4111111111111111 " * 4000
    for end in (b"\x07", b"\x1b\\", b"\x18"):
        out = stream([title + end + b"after\n"])
        assert b"4111" not in out
        assert out.endswith(b"after\n")
        assert stream([title[:9000], title[9000:], end[:1], end[1:] + b"after\n"]) == out


def test_a_half_escape_at_the_end_is_given_back() -> None:
    for tail in (b"\x1b", b"\x1b[3", b"\x1b]0;title", b"\xc3"):
        assert stream([b"x\n" + tail]) == b"x\n" + tail


# -- what is held, and for how long ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["line\n", "alice@web1:~$ ", "postgres=# ", ">>> ", "[root@web1 ~]# ", "done.\x1b[0m\r\n"],
)
def test_a_prompt_is_not_held(text: str) -> None:
    assert StreamMask(DETECTORS).feed(text.encode()) == text.encode()


@pytest.mark.parametrize(
    "text", ["web1", "alice", "alice@", "Password: ", "41111", "user:", "n 12 "]
)
def test_a_weak_beginning_is_shown_when_idle(text: str) -> None:
    mask = StreamMask(DETECTORS)
    assert mask.feed(text.encode()) + mask.idle() == text.encode()
    assert mask.idle() == b""
    assert mask.close() == b""


@pytest.mark.parametrize(
    "text",
    ["411111", "4111 1111", "alice@e", "078-05-1", "GB29NWBK", "ghp_a", "u://a:b", "-----BEGIN "],
)
def test_a_strong_beginning_is_not(text: str) -> None:
    mask = StreamMask(DETECTORS)
    assert mask.feed(text.encode()) + mask.idle() == b""
    assert mask.close() == text.encode()


def test_a_complete_value_is_shown_masked_and_may_go_on() -> None:
    mask = StreamMask(DETECTORS)
    assert mask.feed(b"alice@example.co") + mask.idle() == b"*" * 16
    assert mask.feed(b"mmunity.org\n") == b"*" * 11 + b"\n"
    assert mask.take_counts() == {"email": 1}
    assert mask.take_counts() == {}


def test_what_slipped_out_still_counts() -> None:
    mask = StreamMask(DETECTORS)
    assert mask.feed(b"41111") + mask.idle() == b"41111"
    assert mask.feed(b"11111111111") + mask.idle() == b"*" * 11
    assert mask.feed(b"\npassword: ") + mask.idle() == b"\npassword: "
    assert mask.feed(b"hunter2\n") == b"*******\n"


@pytest.mark.parametrize(
    "head", ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", "password=", "password='x "]
)
def test_a_value_without_end_is_masked_as_it_goes_on(head: str) -> None:
    mask = StreamMask(DETECTORS)
    shown = mask.feed(head.encode())
    longest = 0
    for _ in range(100):
        shown += mask.feed(b"a1" * 500)
        longest = max(longest, len(head) + 100_000 - len(shown))
    shown += mask.feed(b"' next a@b.com\n") + mask.close()
    assert shown.count(b"a1") == 0
    assert mask.take_counts()["secrets"] == 1
    assert stream([head.encode() + b"a1" * 50_000 + b"' next a@b.com\n"]) == shown


@pytest.mark.parametrize("unit", [b"a", b"1", b"4 ", b"a.", b"\\", b"+1", b"(", b"--"])
def test_what_is_held_is_bounded(unit: bytes) -> None:
    mask = StreamMask(DETECTORS)
    fed = given_back = 0
    for _ in range(24):
        piece = unit * (1000 // len(unit))
        fed += len(piece)
        given_back += len(mask.feed(piece))
        assert fed - given_back <= CAP + 1100


def test_long_runs_are_the_same_in_any_split() -> None:
    rng = random.Random(5)  # noqa: S311 - the same text each time
    glue = [
        "a",
        "1",
        ".",
        "-",
        ", 4111 1111 1111 1111, ",
        "x@y.com",
        "+14155552671-",
        "eyJ",
        "password=",
        "'",
    ]
    for _ in range(5):
        data = "".join(rng.choice(glue) * rng.randrange(1, 400) for _ in range(60)).encode()[
            :60_000
        ]
        whole = stream([data])
        size = rng.choice([100, 1023, 5000, 20_000])
        assert stream(data[at : at + size] for at in range(0, len(data), size)) == whole
        assert len(whole) == len(data)
        assert b"4111 1111 1111 1111" not in whole


def test_a_value_across_the_window_of_a_long_run_is_found() -> None:
    for before in range(CAP - 1100, CAP + 40, 29):
        data = b"a" * before + b".-4111111111111111-.x" + b"b" * 2000
        assert b"4111" not in stream([data]), before


def test_clean_text_passes_quickly() -> None:
    data = b"2026-03-01 12:00:00,123 INFO [web3] request served from cache in 12 ms\n" * 14_000
    began = time.perf_counter()
    assert stream([data]) == data
    assert time.perf_counter() - began < 1.0  # 1 MB; it takes a twentieth


# -- where nothing is detected -------------------------------------------------------------------


def test_new_stream_gives_what_the_rules_ask_for() -> None:
    nothing: Mask = new_stream(Masking())
    assert isinstance(nothing, PassThrough)
    data = b"alice@example.com \x1b[0m\xff 4111111111111111"
    assert nothing.feed(data) == data
    assert nothing.idle() == nothing.close() == b""
    assert nothing.take_counts() == {}
    something = new_stream(Masking(detect=("email",)))
    assert something.feed(b"a@b.com 4111111111111111\n") == b"******* 4111111111111111\n"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_characters_that_show_nothing_are_kept_in_their_places(step: int) -> None:
    quiet = b"\0\x7f\xc2\x81\x1a\xc2\xad"
    data = b"\0" * 500 + b"4111" + quiet + b"11111111111" + quiet + b"1\0\0 ok\0\0\x0b\0"
    mask = StreamMask(("credit_card",))
    shown = b"".join(mask.feed(data[at : at + step]) for at in range(0, len(data), step))
    shown += mask.close()
    assert shown == data.replace(b"4", b"*").replace(b"1", b"*")
