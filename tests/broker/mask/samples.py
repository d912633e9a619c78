"""Sensitive values and what surrounds them, for every test of masking. None belongs to anyone."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from broker.mask.rules import DETECTORS
from broker.mask.stream import StreamMask

if TYPE_CHECKING:
    from collections.abc import Iterable

# (detector, text, the part that is sensitive)
VALUES = [
    ("email", "alice@example.com", "alice@example.com"),
    ("email", "first.last+tag@mail.example.co.uk", "first.last+tag@mail.example.co.uk"),
    ("email", "josé@exämple.com", "josé@exämple.com"),
    ("email", "x@163.com", "x@163.com"),
    ("credit_card", "4111111111111111", "4111111111111111"),
    ("credit_card", "4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("credit_card", "4111-1111-1111-1111", "4111-1111-1111-1111"),
    ("credit_card", "378282246310005", "378282246310005"),
    ("credit_card", "3782 822463 10005", "3782 822463 10005"),
    ("credit_card", "5555555555554444", "5555555555554444"),
    ("credit_card", "2223003122003222", "2223003122003222"),
    ("credit_card", "6011111111111117", "6011111111111117"),
    ("credit_card", "3566002020360505", "3566002020360505"),
    ("credit_card", "30569309025904", "30569309025904"),
    ("credit_card", "4222222222222", "4222222222222"),
    ("us_ssn", "078-05-1120", "078-05-1120"),
    ("us_ssn", "078 05 1120", "078 05 1120"),
    ("iban", "DE89370400440532013000", "DE89370400440532013000"),
    ("iban", "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB29NWBK60161331926819", "GB29NWBK60161331926819"),
    ("iban", "gb29nwbk60161331926819", "gb29nwbk60161331926819"),
    ("iban", "NO93 8601 1117 947", "NO93 8601 1117 947"),
    ("phone", "+1 (415) 555-2671", "+1 (415) 555-2671"),
    ("phone", "+14155552671", "+14155552671"),
    ("phone", "+44 20 7946 0958", "+44 20 7946 0958"),
    ("phone", "415-555-2671", "415-555-2671"),
    ("phone", "(415) 555-2671", "(415) 555-2671"),
    ("phone", "415.555.2671", "415.555.2671"),
    ("secrets", "AKIA" + "IOSFODNN7EXAMPLE", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("secrets", "ghp_" + "a1B2" * 9, "ghp_" + "a1B2" * 9),
    ("secrets", "github_pat_" + "11ABC_" * 8, "github_pat_" + "11ABC_" * 8),
    ("secrets", "glpat-" + "x1Y2z3" * 4, "glpat-" + "x1Y2z3" * 4),
    ("secrets", "xoxb-" + "123456789012-abcdef", "xoxb-" + "123456789012-abcdef"),
    ("secrets", "sk_live_" + "4eC39HqLyjWD", "sk_live_" + "4eC39HqLyjWD"),
    ("secrets", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_def", None),
    ("secrets", "password=hunter2", "hunter2"),
    ("secrets", "DB_PASSWORD: 'it''s'", "it''s"),
    ("secrets", '{"password": "a b\\" c"', 'a b\\" c'),
    ("secrets", '\\"api_key\\": \\"0123456789abcdef\\"', "0123456789abcdef"),
    ("secrets", "--password hunter2", "hunter2"),
    ("secrets", "ALTER ROLE bob PASSWORD 'hunter2'", "hunter2"),
    ("secrets", "Authorization: Bearer abcdef0123456789XYZ", "abcdef0123456789XYZ"),
    ("secrets", "Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("secrets", "postgres://app:hunter2@db.internal:5432/orders", "hunter2"),
    ("secrets", "https://u:p@ss!@host.example.com/", "p@ss!"),
]
CASES = [(name, text, secret or text) for name, text, secret in VALUES]

# Each looks like a value to somebody; none is.
INNOCENT = [
    "2026-03-01 12:00:00,123 INFO started",
    "2026-03-01T12:00:00.123456+0200",
    "10.0.0.1 - - [01/Mar/2026:12:00:00 +0000] 200 5120",
    "1700000000 1700000000000 1700000000000000 1700000000000000000",
    "550e8400-e29b-41d4-a716-446655440000",
    "12345678-1234-1234-1234-123456789012",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "version 1.2.3, kernel 6.1.0-18-amd64",
    "192.168.100.200:8080 fe80::1ff:fe23:4567:890a",
    "contact us @ noon",
    "2@3",
    "alice@web1:~$ ",
    "react@18.2.0 lodash@4.17.21-alpha.beta",
    "user@1000.service getty@tty1.service logo@2x.png",
    "order 4111111111111112",  # the check digit is wrong
    "id 4111111111111111000000",  # too long
    "0.4111111111111111",
    "000-12-3456 666-12-3456 912-12-3456 123-00-4567 123-45-0000",
    "1 2 3 078 05 1120 4 5",  # a row of numbers
    "DE00370400440532013000",
    "XX89370400440532013000",
    "+0000 +1234 a+415555267 2+3456789012",
    "115-555-2671 415-155-2671",
    "PWD=/home/alice",
    "password: ",
    "password: null",
    "unexpected token: foo",
    "pass: 5 fail: 0",
    "https://example.com:8080/path?x=1",
    "basic authentication is required",
    "bearer of bad news",
    "eyJust a word",
]

ZERO_WIDTH = [
    "\x1b[0m",
    "\x1b[1;31m",
    "\x1b[K",
    "\x1b[?25h",
    "\x1b(B",
    "\x07",
    "\x1b]0;t\x07",
    "\u200b",
]
KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEowIBAAKCAQEA0123456789abcdefghijklmnopqrstuvwxyz0123456789AB\n"
    "CDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz0123\n"
    "shortEnd0w==\n"
    "-----END RSA PRIVATE KEY-----"
)


def stream(pieces: Iterable[bytes], *, idle: bool = False) -> bytes:
    """All that comes out of a new stream; with `idle`, the stream pauses after each piece."""
    mask = StreamMask(DETECTORS)
    out = []
    for piece in pieces:
        out.append(mask.feed(piece))
        if idle:
            out.append(mask.idle())
    return b"".join([*out, mask.close()])


def width(text: str) -> int:
    """Columns in a terminal, for text without escapes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
