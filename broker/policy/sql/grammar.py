"""PostgreSQL's own grammar, and the only module that knows which library brings it.

libpg_query is called for its JSON tree: the protobuf tree of postgast stops at depths that honest
statements reach. Bounds come first, because the library cuts text at a NUL and takes quadratic
time over nested comments.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from broker.errors import Unparsable

if TYPE_CHECKING:
    from collections.abc import Mapping

# Imported by name: mypy 1.19 cannot read the stubs that postgast ships.
lib: Any = import_module("postgast.native").lib

Json: TypeAlias = Any
Node: TypeAlias = "Mapping[str, Json]"

MAX_BYTES = 256 * 1024
MAX_COMMENTS = 200
MAX_STATEMENTS = 10_000
MAX_MESSAGE = 120
_DECODER = msgspec.json.Decoder()  # half the time of json.loads; RecursionError when too deep
TOO_DEEP = "the statement is nested too deeply"


def parse(text: str) -> list[Node]:
    """The statements of a text as raw parse trees; Unparsable says what is wrong, and where."""
    result = lib.pg_query_parse(bounded(text))
    try:
        if result.error:
            raise _unparsable(result.error.contents)
        tree = _DECODER.decode(result.parse_tree)
    except RecursionError:
        raise Unparsable(TOO_DEEP) from None
    finally:
        lib.pg_query_free_parse_result(result)
    statements = [each["stmt"] for each in tree["stmts"]]
    if len(statements) > MAX_STATEMENTS:
        msg = f"the text holds more than {MAX_STATEMENTS} statements"
        raise Unparsable(msg)
    if not all(statements):
        msg = "the statement is not understood"
        raise Unparsable(msg)
    return statements


def fingerprint(text: str) -> str:
    """What statements share that differ in nothing but their constants."""
    result = lib.pg_query_fingerprint(bounded(text))
    try:
        if result.error:
            raise _unparsable(result.error.contents)
        return str(result.fingerprint_str.decode())
    finally:
        lib.pg_query_free_fingerprint_result(result)


def bounded(text: str) -> bytes:
    """The text as the parser takes it, when it is within every bound that is seen at once."""
    nul = text.find("\0")
    if nul >= 0:
        msg = "the statement holds a NUL character"
        raise Unparsable(msg, nul)
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        msg = "the statement is not valid UTF-8"
        raise Unparsable(msg, error.start) from None
    if len(data) > MAX_BYTES:
        msg = f"the statement is longer than {MAX_BYTES // 1024} KiB"
        raise Unparsable(msg)
    if data.count(b"/*") > MAX_COMMENTS:
        msg = f"the statement holds more than {MAX_COMMENTS} comments"
        raise Unparsable(msg)
    return data


def _unparsable(error: Json) -> Unparsable:
    message = error.message.decode("utf-8", "replace")
    if "stack depth" in message:
        return Unparsable(TOO_DEEP)
    if len(message) > MAX_MESSAGE:  # it quotes the text, to its end when a quote is left open
        message = message[:MAX_MESSAGE] + "..."
    return Unparsable(message, error.cursorpos - 1 if error.cursorpos > 0 else None)
