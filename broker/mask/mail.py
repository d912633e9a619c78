"""E-mail addresses.

A name with an unusual character (``o'brien@example.com``) is masked from behind it; a domain
without a dot is no address (``alice@web1``), nor is a version (``pkg@1.2``), a systemd unit or a
file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_BACKWARDS = re.compile(r"[\w.%+-]{1,64}+")
_DOMAIN = re.compile(r"[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,9}")
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.")
_TOP = re.compile(r"[^\W\d_]{2}")
_UNITS = "service|socket|target|mount|automount|timer|slice|scope|device|swap|path"
_FILES = "png|jpg|jpeg|gif|svg|webp|css|js|ts"
_NO_TOP = re.compile(f"(?i:{_UNITS}|{_FILES})")


def emails(run: str) -> Iterator[tuple[int, int]]:
    """Addresses around each ``@``: found from it outwards, so the cost is bounded for each."""
    floor, at = 0, run.find("@")
    while at >= 0:
        name = _NAME_BACKWARDS.match(run[max(floor, at - 64) : at][::-1])
        if name and (end := _domain_end(run, at + 1)):
            yield at - name.end(), end
            floor = end
        at = run.find("@", at + 1)


def _domain_end(run: str, start: int) -> int:
    found = _DOMAIN.match(run, start)
    if found is None or _VERSION.match(found.group()):
        return 0
    labels = found.group().split(".")
    while len(labels) > 1 and not _TOP.match(labels[-1]):
        labels.pop()
    if len(labels) < 2 or _NO_TOP.fullmatch(labels[-1]):
        return 0
    return start + len(".".join(labels))
