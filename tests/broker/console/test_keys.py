"""Bytes typed become keys of a closed set, and hostile bytes become nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.console.canvas import library_names
from broker.console.keys import PASTE, TEXT_LIMIT, Key, Keys, as_paste, clean


def keys_of(*pieces: bytes) -> list[Key]:
    keys = Keys()
    found = []
    for piece in pieces:
        keys.feed(piece)
        while (key := keys.next()) is not None:
            found.append(key)
    return found


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (b"select 1;\r", [Key(PASTE, "select 1;"), Key("enter")]),
        (b"\x1b[A\x1b[B\x1bOC\x1b[D", [Key("up"), Key("down"), Key("right"), Key("left")]),
        (b"\x01\x05\x0b\x15\x17\x12", [Key("c-" + k) for k in "aekuwr"]),
        (b"\x7f\x08\x1b[3~", [Key("backspace"), Key("backspace"), Key("delete")]),
        (b"\x1bb\x1bd", [Key("c-left"), Key("escape d")]),
        ("é€😀".encode(), [Key(PASTE, "é€😀")]),
        (b"\x1b[200~a;\r\nb\x1b[31m;\r\x1b[201~", [Key(PASTE, "a;\nb[31m;\n")]),
    ],
)
def test_what_a_person_types_is_known(typed: bytes, expected: list[Key]) -> None:
    assert keys_of(typed) == expected


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (b"\x1b5\x1b9\x1b-", "repeat counts: a count of a million is a megabyte a key"),
        (b"\x18(\x18)\x18e", "keyboard macros"),
        (b"\x11\x16", "quoted control characters"),
        (b"\x18\x05", "an external editor"),
        (b"\x1a\x1c\x1f", "suspend, quit, undo"),
        (b"\x1b[12;40R", "an answer to a question that nobody asked"),
        (b"\x1b[<0;1;1M", "the mouse"),
    ],
)
def test_keys_that_nobody_needs_do_not_arrive(typed: bytes, why: str) -> None:
    names = {key.name for key in keys_of(typed)}
    assert names <= {PASTE, "enter", "c-e"}, why
    assert all(len(key.text) < 10 for key in keys_of(typed))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
@settings(max_examples=200)
def test_whole_is_the_same_as_in_pieces(typed: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(typed), *(cut for cut in cuts if cut < len(typed))})
    pieces = [typed[a:b] for a, b in itertools.pairwise(edges)]
    assert flat(keys_of(*pieces)) == flat(keys_of(typed))


def flat(keys: list[Key]) -> list[Key]:
    """Runs of text joined: where they are cut does not matter."""
    joined: list[Key] = []
    for key in keys:
        if joined and joined[-1].name == key.name == PASTE:
            joined[-1] = Key(PASTE, joined[-1].text + key.text)
        else:
            joined.append(key)
    return joined


PIECES = st.sampled_from(
    [
        b"\x1b",
        b"\x1b[",
        b"\x1b[200~",
        b"\x1b[201~",
        b"1;2",
        b"\xff\xc3",
        b"x" * 5000,
        b"\r",
        b"\x1bO",
    ]
)


@given(st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=30))
@settings(max_examples=200)
def test_hostile_bytes_are_used_up_and_every_key_has_a_name_in_the_editor(
    pieces: list[bytes],
) -> None:
    for key in keys_of(*pieces):
        assert key.name == "bell" or library_names(key)
        assert not any(ord(c) < 32 and c not in "\n\t" for c in key.text)


def test_an_endless_paste_is_dropped_with_one_bell() -> None:
    chunks = [b"\x1b[200~", *[b"x" * 4096] * 40, b"\x1b[201~", b"\r"]
    assert keys_of(*chunks) == [Key("bell"), Key("enter")]


def test_an_endless_escape_sequence_does_not_stay_in_memory() -> None:
    keys = Keys()
    for _ in range(1000):
        keys.feed(b"\x1b[" + b"1" * 1000)
        while keys.next() is not None:
            pass
    assert len(keys.take_all()) < 100


def test_what_was_typed_unseen_comes_back_as_text_that_submits_nothing() -> None:
    shown = keys_of(as_paste(b"drop table x;\r\x03\x1b[201~\rselect 1;\n"))
    assert [key.name for key in shown] == [PASTE]
    assert shown[0].text == "drop table x;\n[201~\nselect 1;"
    assert len(keys_of(as_paste(b"y" * TEXT_LIMIT * 2))[0].text) <= TEXT_LIMIT


def test_clean_keeps_text_and_drops_controls() -> None:
    assert clean("a\tb\r\nc\x9b\x07é") == "a\tb\ncé"
