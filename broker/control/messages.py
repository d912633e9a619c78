"""What the broker and its approvers say to each other: one JSON object a line; values only, no I/O.

    asks     {"id": 1, "do": "approve", "args": {"id": "7f3a", "digest": "...", "reason": ""}}
    answers  {"id": 1, "ok": true, "result": ...}
             {"id": 1, "ok": false, "error": "a sentence", "code": 77}
    pushes   {"push": "changed", "what": "reviews"}
             {"push": "clock", "now": "2026-01-01T00:00:00Z"}

Each side takes the other's lines apart strictly and refuses what it does not understand
(ProtocolError): a line longer than the limit, a key twice, a value of another type. Requests have
no unknown keys; results may have some, so that a newer broker can tell an older screen more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from broker.errors import ProtocolError, TryLater

LINE_LIMIT = 4 * 1024 * 1024
ID_LIMIT = 2**53

Args: TypeAlias = Mapping[str, object]

# What each request must and may carry. A verb that is not here goes to the server as it is, which
# refuses it with a sentence.
_TEXT, _COUNT = str, int
_ARGS: dict[str, dict[str, type]] = {
    "hello": {},
    "pending": {},
    "show": {"id": _TEXT},
    "approve": {"id": _TEXT, "digest": _TEXT, "reason": _TEXT},
    "deny": {"id": _TEXT, "digest": _TEXT, "reason": _TEXT},
    "dry-run": {"id": _TEXT},
    "sessions": {},
    "play": {"session": _TEXT, "offset": _COUNT},
}


@dataclass(frozen=True, slots=True)
class Request:
    """One question: `id` is given back with its answer."""

    id: int
    do: str
    args: Args


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a request."""

    id: int
    result: object


@dataclass(frozen=True, slots=True)
class Refusal:
    """A sentence in place of an answer, and the exit code that goes with it."""

    id: int
    error: str
    code: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A push: ask for `what` (``reviews`` or ``sessions``) again."""

    what: str


@dataclass(frozen=True, slots=True)
class ClockNow:
    """A push: the broker's clock, RFC 3339. Also the sign that the link is alive."""

    now: str


Reply: TypeAlias = "Result | Refusal | Changed | ClockNow"


def encode_request(request: Request) -> bytes:
    """A request as a line."""
    return _line({"id": request.id, "do": request.do, "args": dict(request.args)})


def encode_result(id_: int, result: object) -> bytes:
    """An answer as a line. Raises TryLater when it is longer than the other side would take."""
    return _line({"id": id_, "ok": True, "result": result})


def encode_error(id_: int, error: str, code: int) -> bytes:
    """A refusal as a line."""
    return _line({"id": id_, "ok": False, "error": error, "code": code})


def encode_push_changed(what: str) -> bytes:
    """`what` has changed, as a line."""
    return _line({"push": "changed", "what": what})


def encode_push_clock(now: str) -> bytes:
    """The broker's clock, as a line."""
    return _line({"push": "clock", "now": now})


def decode_request(line: bytes) -> Request:
    """A line from the screen. Raises ProtocolError."""
    match _object(line):
        case {"id": int() as id_, "do": str() as do, **rest} if _is_id(id_):
            args = rest.pop("args", {})
            if not rest and isinstance(args, dict):
                return Request(id_, do, _checked(do, args))
    msg = "not a request"
    raise ProtocolError(msg)


def decode_reply(line: bytes) -> Reply:
    """A line from the broker. Raises ProtocolError."""
    match _object(line):
        case {"id": int() as id_, "ok": True, "result": result} if _is_id(id_):
            return Result(id_, result)
        case {"id": int() as id_, "ok": False, "error": str() as error, "code": int() as code}:
            return Refusal(id_, error, code)
        case {"push": "changed", "what": str() as what}:
            return Changed(what)
        case {"push": "clock", "now": str() as now}:
            return ClockNow(now)
    msg = "neither an answer nor a push"
    raise ProtocolError(msg)


def _line(value: Mapping[str, object]) -> bytes:
    # ASCII: a lone surrogate (a byte that was not UTF-8) survives, and no line end can be inside.
    line = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
    if len(line) > LINE_LIMIT:
        msg = "the answer is too long for this screen; use `ssh broker@HOST` instead"
        raise TryLater(msg)
    return line


def _object(line: bytes) -> dict[str, object]:
    if len(line) > LINE_LIMIT:
        msg = "a line longer than the limit"
        raise ProtocolError(msg)
    try:
        value: object = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        msg = "not a line of JSON"
        raise ProtocolError(msg) from error
    if not isinstance(value, dict):
        msg = "not a JSON object"
        raise ProtocolError(msg)
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):  # two readers could each believe another of the two
        msg = "a key twice"
        raise ValueError(msg)
    return found


def _no_constant(name: str) -> object:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _is_id(value: int) -> bool:
    return not isinstance(value, bool) and 0 <= value < ID_LIMIT


def _checked(do: str, args: dict[str, object]) -> Args:
    expected = _ARGS.get(do)
    if expected is None:
        return args
    wrong = set(args) != set(expected) or any(
        not isinstance(args[name], kind) or isinstance(args[name], bool)
        for name, kind in expected.items()
    )
    if wrong:
        msg = f"{do} does not take these arguments"
        raise ProtocolError(msg)
    return args
