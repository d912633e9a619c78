"""One event as one entry of the log: canonical JSON, in ASCII, small enough for a bundle; pure."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker.evidence.tiles import ENTRY_LIMIT

if TYPE_CHECKING:
    from datetime import datetime

    from broker.events import Event, Json

VERSION = 1
CUT = "...[cut]"

_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_OURS = ("v", "id", "ts_ms", "seq", "type", "actor", "sid")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _CROCKFORD for b in _CROCKFORD)
_ULID = re.compile(f"[0-7][{_CROCKFORD}]{{25}}")
_LIMITS = (16384, 8192, 4096, 2048, 1024, 512, 256, 128)  # never below a digest's 71 characters


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry goes: its number in the log, and the time that the log gives it."""

    seq: int
    ts_ms: int


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def ulid(ts_ms: int) -> str:
    """A new identifier that sorts by time."""
    number = (ts_ms & (1 << 48) - 1) << 80 | secrets.randbits(80)
    low, high = number & (1 << 60) - 1, number >> 60  # small numbers are shifted faster
    return (
        _PAIRS[high >> 60]
        + "".join([_PAIRS[high >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)])
        + "".join([_PAIRS[low >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)])
    )


def encode(event: Event, place: Place, identifier: str) -> bytes:
    """The entry's bytes. What is too long is cut, and says so; an event is never too big to log."""
    ours: dict[str, Json] = {
        "v": VERSION,
        "id": identifier,
        "ts_ms": place.ts_ms,
        "seq": place.seq,
        "type": event.type,
        "actor": _shortened(event.actor, _LIMITS[3]),
        "sid": _shortened(event.sid, _LIMITS[-1]),
    }
    fields = {name + "_" if name in ours else name: value for name, value in event.fields.items()}
    entry = canonical(fields | ours)
    if len(entry) > ENTRY_LIMIT and isinstance(fields.get("statement"), str):
        fields["statement"] = _shortened(fields["statement"], _LIMITS[1])
        entry = canonical(fields | ours)
    for limit in _LIMITS:
        if len(entry) <= ENTRY_LIMIT:
            return entry
        entry = canonical({name: _shortened(value, limit) for name, value in fields.items()} | ours)
    return entry if len(entry) <= ENTRY_LIMIT else canonical({**ours, "cut": True})


def canonical(value: object) -> bytes:
    """The one way to write it: keys sorted, no blanks, ASCII, no floats."""
    _refuse_floats(value)
    return _write(value).encode("ascii")


def decode(data: bytes, seq: int) -> dict[str, Any]:
    """Read an entry and check that it is canonical and in its place; ValueError says what not."""
    try:
        entry: Any = json.loads(data)
        again = canonical(entry)
    except (ValueError, TypeError, RecursionError) as error:
        msg = "not JSON as this log writes it"
        raise ValueError(msg) from error
    if again != data or not isinstance(entry, dict):
        msg = "not in canonical form"
        raise ValueError(msg)
    if entry.get("v") != VERSION or entry.get("seq") != seq:
        msg = "another version, or out of sequence"
        raise ValueError(msg)
    if not _well_formed(entry):
        msg = "a field that every entry has is missing or malformed"
        raise ValueError(msg)
    return dict(entry)


def _well_formed(entry: dict[str, Any]) -> bool:
    texts = all(isinstance(entry.get(name), str) for name in ("id", "type", "actor"))
    sid = entry.get("sid", 0)
    return (
        texts
        and _ULID.fullmatch(entry["id"]) is not None
        and type(entry.get("ts_ms")) is int
        and (sid is None or isinstance(sid, str))
    )


def _shortened(value: Json, limit: int) -> Json:
    if isinstance(value, str):
        return value if len(value) <= limit else value[: limit - len(CUT)] + CUT
    if isinstance(value, list):
        most = max(1, limit // 64)
        kept = [_shortened(item, limit) for item in value[:most]]
        return kept if len(value) <= most else [*kept, CUT]
    if isinstance(value, dict):
        most = max(1, limit // 64)
        items = sorted(value.items())
        short: dict[str, Json] = {
            name[:limit]: _shortened(item, limit) for name, item in items[:most]
        }
        return short if len(items) <= most else {**short, CUT: len(items)}
    return value


def _refuse_floats(value: object) -> None:
    if isinstance(value, (str, int)) or value is None:
        return
    if isinstance(value, float):
        msg = "an entry holds no floats"
        raise TypeError(msg)
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_floats(item)
