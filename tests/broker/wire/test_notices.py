from __future__ import annotations

import pytest

from broker.errors import ProtocolError
from broker.wire import notices
from tests.broker.wire.masker import ADDRESS


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
