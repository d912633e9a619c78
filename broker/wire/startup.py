"""What a client says first: a session, a cancellation, or something that we do not offer."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from broker.errors import ProtocolError, UsageError
from broker.wire.messages import Body, cstring, frame, int32

if TYPE_CHECKING:
    from collections.abc import Mapping

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
VERSION_3_0 = 3 << 16

_LENGTH_LIMIT = 10_000  # as in the server
_TLS_HANDSHAKE = 0x16
_UTF8 = {"utf8", "utf-8", "unicode", "auto", "sql_ascii"}  # SQL_ASCII is no conversion at all
# Settings that drivers send and that change only how values are written; others are refused.
_HARMLESS = {"datestyle", "timezone", "intervalstyle", "extra_float_digits"}
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9_+:/, .<>-]{1,64}")
_IGNORED = {"user", "database", "application_name"}


@dataclass(frozen=True, slots=True)
class Startup:
    """A session is wanted. User and database of the packet are ignored: who comes is known from
    SSH, and where to from the target. `settings` are harmless ones to be set for the session;
    `answer` goes to the client before anything else (NegotiateProtocolVersion, or nothing).
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""
    program: str = ""  # what the client calls itself


@dataclass(frozen=True, slots=True)
class Cancel:
    """The statement of the session with this key (process id and secret) should stop."""

    key: bytes


Hello: TypeAlias = Startup | Cancel


class Greeting:
    """Reads the packets before a session; after each SSL or GSS request we say no in plain text.

    The SSH tunnel is the encryption. Bytes that come along with such a request, before our
    answer, were sent by somebody who does not wait for it: refused (CVE-2021-23214's class).
    """

    def __init__(self) -> None:
        self._data = b""
        self.hello: Hello | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes, give back what to answer; `hello` is set once all is known.

        Raises ProtocolError for what is no start of this protocol, UsageError for what we refuse.
        """
        self._data += data
        if self._data[:1] == bytes([_TLS_HANDSHAKE]):
            msg = "direct TLS is not offered: SSH already encrypts; use sslmode=disable or prefer"
            raise UsageError(msg)
        if len(self._data) < 4:
            return b""
        length = struct.unpack(">I", self._data[:4])[0]
        if not 8 <= length <= _LENGTH_LIMIT:
            msg = "not a start-up packet of PostgreSQL"
            raise ProtocolError(msg)
        if len(self._data) < length:
            return b""
        if len(self._data) > length:
            msg = "bytes came before their answer to the start-up packet"
            raise ProtocolError(msg)
        packet, self._data = self._data[4:], b""
        return self._packet(packet)

    def _packet(self, packet: bytes) -> bytes:
        body = Body(packet)
        code = body.int32()
        if code in {SSL_REQUEST, GSSENC_REQUEST}:
            body.end()
            return b"N"
        if code == CANCEL_REQUEST:
            self.hello = Cancel(body.rest())
            return b""
        if code >> 16 != 3:
            msg = f"protocol version {code >> 16}.{code & 0xFFFF} is not offered, only 3.0"
            raise UsageError(msg)
        self.hello = _startup(code, body)
        return self.hello.answer


def _startup(version: int, body: Body) -> Startup:
    sent = _parameters(body)
    unknown = [name for name in sent if name.startswith("_pq_.")]
    settings: dict[str, str] = {}
    for name, value in sent.items():
        if name not in unknown and _kept(name.lower(), value):
            settings[name.lower()] = value
    answer = b""
    if version != VERSION_3_0 or unknown:
        names = b"".join(cstring(name) for name in unknown)
        answer = frame("v", int32(VERSION_3_0) + int32(len(unknown)) + names)
    return Startup(settings, answer, sent.get("application_name", ""))


def _parameters(body: Body) -> dict[str, str]:
    sent: dict[str, str] = {}
    while name := body.cstring():
        value = body.cstring()
        try:
            key = name.decode("ascii")
            if key in sent:
                msg = f"the start-up packet names {key} twice"
                raise ProtocolError(msg)
            sent[key] = value.decode()
        except UnicodeDecodeError as error:
            msg = "the start-up packet is not UTF-8"
            raise ProtocolError(msg) from error
    body.end()
    return sent


def _kept(name: str, value: str) -> bool:
    """Is it a setting to carry over? Raises UsageError for one that must not be set at all."""
    if name in _IGNORED or (name == "options" and not value.strip()):
        return False
    if name == "client_encoding" and value.strip("'\" ").lower() in _UTF8:
        return False
    if name == "replication" and value.lower() in {"false", "off", "no", "0"}:
        return False
    if name in _HARMLESS and _HARMLESS_VALUE.fullmatch(value):
        return True
    hint = {
        "client_encoding": "only UTF8 is offered",
        "options": "settings of the session are fixed by the broker",
        "replication": "replication is not offered",
    }.get(name, "this setting cannot be given at the start")
    msg = f"{name!r} in the start-up packet is refused: {hint}"
    raise UsageError(msg)


def startup_message(parameters: Mapping[str, str]) -> bytes:
    """Our own start-up packet, protocol 3.0."""
    pairs = b"".join(cstring(name) + cstring(value) for name, value in parameters.items())
    body = int32(VERSION_3_0) + pairs + b"\0"
    return int32(len(body) + 4) + body


def ssl_request() -> bytes:
    """SSLRequest."""
    return int32(8) + int32(SSL_REQUEST)


def cancel_request(key: bytes) -> bytes:
    """CancelRequest with the whole key: process id and secret."""
    return int32(8 + len(key)) + int32(CANCEL_REQUEST) + key
