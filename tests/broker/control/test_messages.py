"""Lines on the control channel: what is written is read back; everything else is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.control import messages
from broker.control.messages import (
    LINE_LIMIT,
    Changed,
    ClockNow,
    Refusal,
    Request,
    Result,
    decode_reply,
    decode_request,
)
from broker.errors import ProtocolError, TryLater

TEXT = st.text(st.characters(), max_size=40)  # lone surrogates as well


@given(st.integers(0, 2**53 - 1), TEXT, TEXT, TEXT)
def test_a_request_is_read_back(id_: int, review: str, digest: str, reason: str) -> None:
    request = Request(id_, "approve", {"id": review, "digest": digest, "reason": reason})
    line = messages.encode_request(request)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_request(line) == request


@given(TEXT)
def test_answers_and_pushes_are_read_back(text: str) -> None:
    assert decode_reply(messages.encode_result(7, [text])) == Result(7, [text])
    assert decode_reply(messages.encode_error(7, text, 77)) == Refusal(7, text, 77)
    assert decode_reply(messages.encode_push_changed(text)) == Changed(text)
    assert decode_reply(messages.encode_push_clock(text)) == ClockNow(text)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[]",
        b"null",
        b"\xff",
        b'{"id":1}',
        b'{"do":"hello"}',
        b'{"id":true,"do":"hello"}',
        b'{"id":-1,"do":"hello"}',
        b'{"id":9007199254740992,"do":"hello"}',
        b'{"id":1.0,"do":"hello"}',
        b'{"id":"1","do":"hello"}',
        b'{"id":1,"do":"hello","as":"carol"}',
        b'{"id":1,"do":"hello","args":[]}',
        b'{"id":1,"do":"hello","args":{"identity":"carol"}}',
        b'{"id":1,"do":"approve","args":{"id":"7f3a"}}',
        b'{"id":1,"do":"approve","args":{"id":"7f3a","digest":1,"reason":""}}',
        b'{"id":1,"do":"show","args":{"id":"a","id":"b"}}',
        b'{"id":1,"id":2,"do":"hello"}',
        b'{"id":1,"do":"play","args":{"session":"s","offset":true}}',
        b'{"id":1,"do":"play","args":{"session":"s","offset":NaN}}',
        b'{"id":1,"do":"x","args":{"n":' + b"9" * 5000 + b"}}",
        b'{"id":1,"do":"x","args":' + b"[" * 100_000,
        b'{"id":1,"do":"show","args":{"id":"' + b"a" * LINE_LIMIT + b'"}}',
    ],
)
def test_what_is_not_a_request_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_request(line)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.booleans() | st.text(), st.lists))
def test_garbage_raises_nothing_but_protocol_errors(garbage: object) -> None:
    line = garbage if isinstance(garbage, bytes) else json.dumps(garbage).encode()
    for decode in (decode_request, decode_reply):
        with pytest.raises(ProtocolError):
            decode(line)


def test_a_verb_from_another_version_reaches_the_server_which_refuses_it() -> None:
    assert decode_request(b'{"id":1,"do":"dance","args":{"n":1}}') == Request(1, "dance", {"n": 1})


def test_an_answer_too_long_for_a_line_is_a_refusal_and_not_a_broken_channel() -> None:
    with pytest.raises(TryLater):
        messages.encode_result(1, "x" * LINE_LIMIT)
