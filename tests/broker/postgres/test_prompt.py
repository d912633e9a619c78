"""psql's prompts are found whatever surrounds them, however the bytes were split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import ProtocolError
from broker.postgres.prompt import COPY_NOTE, Lexer, PromptScanner, PromptState

MARK = "0123456789abcdef" * 2
M = MARK.encode()
READY = M + b"1=:00000:" + M


def scanned(data: bytes, cuts: list[int]) -> tuple[bytes, list[PromptState]]:
    scanner = PromptScanner(MARK)
    text, states = b"", []
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for a, b in itertools.pairwise(edges):
        piece, state = scanner.feed(data[a:b])
        text += piece
        while state is not None:
            states.append(state)
            piece, state = scanner.feed(b"")
            text += piece
    return text, states


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b"1=:00000:", PromptState(Lexer.READY, "", "", "00000")),
        (b"1=*::", PromptState(Lexer.READY, "", "*", "")),
        (b"1=!:42P01:", PromptState(Lexer.READY, "", "!", "42P01")),
        (b"2':00000:", PromptState(Lexer.CONTINUED, "'", "", "00000")),
        (b"2**:00000:", PromptState(Lexer.CONTINUED, "*", "*", "00000")),
        (b"2(*:00000:", PromptState(Lexer.CONTINUED, "(", "*", "00000")),
        (b"3=*:00000:", PromptState(Lexer.COPY, "", "*", "00000")),
    ],
)
def test_each_state_is_read(body: bytes, state: PromptState) -> None:
    assert scanned(M + body + M, []) == (b"", [state])


PIECES = st.sampled_from([READY, M[:9], M[:31], b"x", b"\n", COPY_NOTE, COPY_NOTE[:20], b"0123"])


@given(st.lists(PIECES, max_size=8), st.lists(st.integers(0, 900), max_size=8))
@settings(max_examples=200)
def test_any_split_gives_the_same_text_and_prompts(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces) + READY
    assert scanned(data, cuts) == (data.replace(READY, b""), scanned(data, [])[1])


def test_the_note_before_copy_data_is_taken_out_and_only_there() -> None:
    assert scanned(b"a\n" + COPY_NOTE + M + b"3=:00000:" + M, [30, 60])[0] == b"a\n"
    assert scanned(COPY_NOTE + READY, [])[0] == COPY_NOTE


@pytest.mark.parametrize("body", [b"1=:00000", b"9=:00000:", b"\x1b[2J", b"x" * 200])
def test_a_marker_around_something_else_ends_it(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        scanned(M + body + M, [])
