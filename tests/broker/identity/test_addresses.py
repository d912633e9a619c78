from __future__ import annotations

import pytest

from broker.identity.addresses import address_problem, is_loopback


@pytest.mark.parametrize(
    "address",
    [
        "https://id.example.com",
        "https://id.example.com:8443/realms/x",
        "http://127.0.0.1:5000",
        "http://127.9.9.9",
        "http://[::1]:5000/x",
        "http://localhost:1",
    ],
)
def test_accepted(address: str) -> None:
    assert address_problem(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "id.example.com",
        "http://id.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://0.0.0.0",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "https://",
        "https://u@h",
        "https://h?q",
        "https://h#f",
        "https://h:port",
        "https://h\n",
        "https://a b",
        "https://[::1",
    ],
)
def test_refused(address: str) -> None:
    assert address_problem(address) is not None


def test_an_address_of_keys_may_have_a_query() -> None:
    assert address_problem("https://h/keys?v=1", query=True) is None


def test_loopback() -> None:
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")
