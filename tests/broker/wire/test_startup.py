from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InterlockError, ProtocolError, UsageError
from broker.wire import startup
from broker.wire.startup import Cancel, Greeting, Startup


def packet(version: int = 3 << 16, /, **parameters: str) -> bytes:
    pairs = b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items())
    body = struct.pack(">I", version) + pairs + b"\0"
    return struct.pack(">I", len(body) + 4) + body


def request(code: int, rest: bytes = b"") -> bytes:
    return struct.pack(">II", 8 + len(rest), code) + rest


def test_user_and_database_are_not_the_clients_to_choose() -> None:
    greeting = Greeting()
    data = packet(user="postgres", database="template1", application_name="psql")
    assert greeting.feed(data) == b""
    assert greeting.hello == Startup({}, program="psql")


def test_encryption_is_declined_because_ssh_has_it() -> None:
    greeting = Greeting()
    assert greeting.feed(request(startup.SSL_REQUEST)) == b"N"
    assert greeting.feed(request(startup.GSSENC_REQUEST)) == b"N"
    greeting.feed(packet(user="a"))
    assert isinstance(greeting.hello, Startup)


def test_plain_text_along_with_an_ssl_request_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="before their answer"):
        Greeting().feed(request(startup.SSL_REQUEST) + packet(user="a"))


def test_direct_tls_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="sslmode"):
        Greeting().feed(b"\x16\x03\x01\x02\x00\x01")


@pytest.mark.parametrize(
    "parameters",
    [
        {"options": "-c default_transaction_read_only=off -c session_replication_role=replica"},
        {"options": "-c standard_conforming_strings=off"},
        {"replication": "database"},
        {"replication": "true"},
        {"client_encoding": "SJIS"},
        {"client_encoding": "BIG5"},
        {"role": "admin"},
        {"search_path": "evil"},
        {"session_authorization": "postgres"},
        {"timezone": "x'; DROP TABLE users; --"},
        {"TimeZone": "\\"},
    ],
    ids=str,
)
def test_settings_that_could_change_the_session_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="refused"):
        Greeting().feed(packet(**{"user": "app", **parameters}))


def test_how_values_are_written_may_be_chosen() -> None:
    greeting = Greeting()
    settings = {"DateStyle": "ISO, DMY", "TimeZone": "Europe/Rome", "client_encoding": "utf-8"}
    greeting.feed(packet(**{"user": "a", "options": " ", "replication": "false", **settings}))
    assert greeting.hello == Startup({"datestyle": "ISO, DMY", "timezone": "Europe/Rome"})


def test_a_newer_minor_version_is_negotiated_down() -> None:
    greeting = Greeting()
    answer = greeting.feed(packet(3 << 16 | 2, **{"user": "a", "_pq_.thing": "on"}))
    assert answer == b"v" + struct.pack(">III", 12 + 11, 3 << 16, 1) + b"_pq_.thing\0"


@pytest.mark.parametrize("version", [2 << 16, 4 << 16])
def test_another_major_version_is_refused(version: int) -> None:
    with pytest.raises(UsageError, match=r"only 3\.0"):
        Greeting().feed(packet(version, user="a"))


def test_a_cancellation_keeps_its_whole_key() -> None:
    greeting = Greeting()
    greeting.feed(startup.cancel_request(b"12345678"))
    assert greeting.hello == Cancel(b"12345678")


@pytest.mark.parametrize("length", [0, 7, 10_001, 0xFFFFFFFF])
def test_the_length_is_bounded(length: int) -> None:
    with pytest.raises(ProtocolError):
        Greeting().feed(struct.pack(">I", length))


@given(st.binary(max_size=40))
def test_garbage_is_refused_and_never_crashes(data: bytes) -> None:
    greeting = Greeting()
    try:
        for at in range(len(data)):
            greeting.feed(data[at : at + 1])
    except InterlockError:
        pass


def test_byte_by_byte_is_the_whole() -> None:
    greeting = Greeting()
    for byte in packet(user="a", TimeZone="UTC"):
        assert greeting.hello is None
        greeting.feed(bytes([byte]))
    assert greeting.hello == Startup({"timezone": "UTC"})
