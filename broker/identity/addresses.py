"""Which addresses an issuer may have: https, or http to this very machine; pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def address_problem(address: str, *, query: bool = False) -> str | None:
    """What is wrong with an issuer's address, or None; only key addresses may have a `query`."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if not host or not address.isprintable() or " " in address:
        return "is not an address such as https://id.example.com"
    if parts.username is not None or parts.fragment or (parts.query and not query):
        return "may have no user, query or fragment"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return "must begin with https:// (http:// only for a loopback address)"
    return None


def is_loopback(host: str) -> bool:
    """Is this host name or address this very machine?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
