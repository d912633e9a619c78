"""Lines of a recording: whatever bytes come, in whatever pieces, a player reads them back."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.asciicast import (
    Encoder,
    Event,
    decode_event,
    decode_header,
    encode_event,
    encode_header,
)
from recordings.errors import RecordingUnreadable


def shown(pieces: list[bytes]) -> str:
    encoder = Encoder()
    lines = [encoder.output(0.0, piece) for piece in pieces] + [encoder.rest(0.0)]
    return "".join(decode_event(line).data for line in lines if line)


@given(st.text(), st.lists(st.integers(0, 200)))
def test_text_survives_any_split(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert shown(pieces) == data.decode()


@given(st.lists(st.binary()))
def test_any_bytes_are_shown_as_one_decoder_would(pieces: list[bytes]) -> None:
    assert shown(pieces) == b"".join(pieces).decode("utf-8", "replace")


def test_what_is_not_utf8_is_shown_as_such() -> None:
    assert shown([b"a\xffb", b"\xe2\x82"]) == "a\ufffdb\ufffd"


@given(st.text(st.characters(exclude_categories=())))
def test_every_event_is_one_line_of_json_that_no_terminal_obeys(text: str) -> None:
    line = encode_event(Event(1.5, "i", text))
    assert line.endswith(b"\n")
    body = line[:-1].decode()
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in body)
    time, code, data = json.loads(body)
    assert (time, code) == (1.5, "i")
    assert data == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def test_times_have_at_most_six_decimals() -> None:
    assert encode_event(Event(1 / 3, "o", "x")) == b'[0.333333, "o", "x"]\n'
    assert decode_event(encode_event(Event(0.0000001, "m", ""))).time == 0.0


def test_header_is_version_2_with_our_object() -> None:
    line = encode_header({"version": 3, "width": 80, "height": 24, "interlock": {"session": "s"}})
    assert line.count(b"\n") == 1
    assert decode_header(line)["version"] == 2
    assert decode_header(line)["interlock"] == {"session": "s"}


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"null", b'{"version": 3}', b"\xff", b"[" * 100_000],
    ids=["empty", "no version", "a list", "null", "version 3", "not text", "deep"],
)
def test_what_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(RecordingUnreadable):
        decode_header(line)


@pytest.mark.parametrize(
    "line", [b"{}", b'[1, "o"]', b'["1", "o", "x"]', b'[true, "o", "x"]', b"["]
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(RecordingUnreadable):
        decode_event(line)


def test_only_known_codes_are_written_but_unknown_ones_are_read() -> None:
    with pytest.raises(ValueError, match="no such event code"):
        encode_event(Event(0.0, "z", ""))
    assert decode_event(b'[1, "z", "later"]') == Event(1.0, "z", "later")
