from __future__ import annotations

import pytest

from broker.errors import ProtocolError
from broker.wire import notices
from tests.broker.wire.masker import ADDRESS

HIDDEN = b"text hidden by interlock: the statement reads masked columns"


def mask(text: bytes) -> bytes:
    return ADDRESS.sub(b"***", text)


def fields(code: bytes) -> notices.Fields:
    return {"S": b"ERROR", "C": code, "M": b"bad ann@x.org", "D": b"Key (078-05-1120)", "P": b"7"}


def test_every_text_is_masked_and_the_position_kept() -> None:
    shown = notices.masked(fields(b"23505"), mask, tainted=False)
    assert shown["M"] == b"bad ***"
    assert shown["P"] == b"7"


@pytest.mark.parametrize(
    ("code", "message"), [(b"22P02", False), (b"P0001", False), (b"42703", True)]
)
def test_a_tainted_statement_shows_no_text_that_quotes_values(code: bytes, message: bool) -> None:
    shown = notices.masked(fields(code), mask, tainted=True)
    assert "D" not in shown
    assert (shown["M"] == b"bad ***") is message


@pytest.mark.parametrize("code", [b"42704", b"3D000", b"3F000", b"0A000", b"42P01"])
def test_a_cast_to_a_name_quotes_a_value_and_a_place_in_the_text_does_not(code: bytes) -> None:
    at_run_time = fields(code)
    del at_run_time["P"]
    assert notices.masked(at_run_time, mask, tainted=True)["M"] == HIDDEN
    assert notices.masked(fields(code), mask, tainted=True)["M"] != HIDDEN


def test_code_in_the_server_may_say_anything_in_any_field_under_any_code() -> None:
    raised = fields(b"42501") | dict.fromkeys("Wstcdn", b"gro.x@nna")
    shown = notices.masked(raised, mask, tainted=True)
    assert shown == {"S": b"ERROR", "C": b"42501", "P": b"7", "M": HIDDEN}
    raised["c"] = b"ann@x.org"
    assert notices.masked(raised, mask, tainted=False)["c"] == b"***"


def test_what_is_built_can_be_read() -> None:
    data = notices.error("42501", "interlock: denied by r: no\0pe")
    assert notices.read(data[5:]) == {
        "S": b"ERROR",
        "V": b"ERROR",
        "C": b"42501",
        "M": b"interlock: denied by r: nope",
    }
    assert notices.write("E", notices.read(data[5:])) == data


@pytest.mark.parametrize("body", [b"", b"M", b"Mx", b"Mx\0", b"Mx\0My\0\0", b"\0x"])
def test_broken_fields_are_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        notices.read(body)
