"""Entries: canonical, in their place, never too long, whatever the event holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import events
from broker.events import Event
from broker.evidence.entry import CUT, Place, canonical, decode, encode, ulid
from broker.evidence.tiles import ENTRY_LIMIT
from broker.model import Answer, Facts, Language, Part, Statement, Verdict
from tests.fakes import session

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Place(7, 1_700_000_000_000)
ID = ulid(HERE.ts_ms)

texts = st.text(st.characters(exclude_categories=()))
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)


def read(event: Event) -> dict[str, Any]:
    return decode(encode(event, HERE, ID), 7)


def test_an_entry_is_flat_sorted_ascii_without_blanks() -> None:
    event = Event("login.granted", "human:grüße@corp", {"ttl_s": 1, "groups": ["a"]})
    assert encode(event, HERE, ID) == (
        b'{"actor":"human:gr\\u00fc\\u00dfe@corp","groups":["a"],"id":"%s","seq":7,"sid":null,'
        b'"ts_ms":1700000000000,"ttl_s":1,"type":"login.granted","v":1}' % ID.encode()
    )


@given(st.dictionaries(texts, values))
def test_any_fields_are_read_back(fields: dict[str, Any]) -> None:
    entry = read(Event("t", "a", fields, "s"))
    ours = {"v", "id", "ts_ms", "seq", "type", "actor", "sid"}
    for name, value in fields.items():
        assert entry[name + "_" if name in ours else name] == value
    assert (entry["type"], entry["actor"], entry["sid"], entry["seq"]) == ("t", "a", "s", 7)


def test_no_field_can_pass_for_one_of_ours() -> None:
    entry = read(Event("t", "a", {"seq": 99, "actor": "root", "type": "x"}))
    assert (entry["seq"], entry["actor"], entry["type"]) == (7, "a", "t")
    assert (entry["seq_"], entry["actor_"], entry["type_"]) == (99, "root", "x")


def test_a_long_statement_is_cut_and_says_so_but_its_digest_is_whole() -> None:
    commands = tuple(Part(command=("€" * 9000, str(n))) for n in range(100))
    verdict = Verdict(Answer.DENY, "r", "because", Facts(commands))
    statement = Statement(Language.SHELL, "\U0001f600" * 100_000)
    event = events.judged(session(), statement, verdict, redact=str)
    data = encode(event, HERE, ID)
    assert len(data) <= ENTRY_LIMIT
    entry = decode(data, 7)
    assert entry["statement"].endswith(CUT)
    assert entry["commands"][-1] == CUT
    assert entry["digest"] == statement.digest


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.integers(1, 20_000))
def test_no_event_is_too_big_to_log(count: int, length: int) -> None:
    fields: dict[str, Any] = {f"f{n}": ["\x00" * length, {"k" * length: "v"}] for n in range(count)}
    event = Event("t", "a" * length, fields, "s" * length)
    assert len(encode(event, HERE, ID)) <= ENTRY_LIMIT


@pytest.mark.parametrize("value", [1.5, float("nan"), [0.0], {"a": {"b": 2.0}}, b"x", object()])
def test_floats_and_what_is_no_json_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(Event("t", "a", {"f": value}), HERE, ID)


CHANGES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "blanks": lambda e: json.dumps(e).encode(),
    "another place": lambda e: canonical({**e, "seq": 8}),
    "another version": lambda e: canonical({**e, "v": 2}),
    "small letters in the id": lambda e: canonical({**e, "id": e["id"].lower()}),
    "time as text": lambda e: canonical({**e, "ts_ms": "1"}),
    "time as bool": lambda e: canonical({**e, "ts_ms": True}),
    "no actor": lambda e: canonical({**e, "actor": None}),
    "no sid": lambda e: canonical({name: e[name] for name in e if name != "sid"}),
    "a list": lambda e: canonical([e]),
    "a key twice": lambda _: b'{"a":1,"a":1}',
    "deep": lambda _: b"[" * 60_000,
    "a float": lambda _: b'{"a":1.0}',
    "not text": lambda _: b"\xff",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_this_log_would_not_write_is_refused(change: str) -> None:
    entry = read(Event("t", "a", {}))
    with pytest.raises(ValueError, match=r"."):
        decode(CHANGES[change](entry), 7)


def test_identifiers_sort_by_time_and_differ() -> None:
    assert ulid(1) < ulid(2) < ulid(1_700_000_000_000) < ulid((1 << 48) - 1)
    assert len({ulid(5) for _ in range(100)}) == 100
    assert ulid(1_469_918_176_385).startswith("01ARYZ6S41")
