"""Stand-ins for refused messages: the server is certain to refuse them, quoting their marker.

The marker is an unguessable word. As a statement it is a syntax error in any state of a
transaction; as the name of a statement or portal it names none. Only the error that quotes it, at
the place where it is owed, is then told as our refusal.
"""

from __future__ import annotations

import secrets

from broker.wire import frontend, messages
from broker.wire.ledger import Owed, Refusal, Sort


def replacement(owed: Owed, code: str, message: str) -> bytes:
    """The message to send for a refused one; `owed` will be answered by this error of ours."""
    marker = b"interlock_refused_" + secrets.token_hex(16).encode()
    owed.refusal = Refusal(code, message, marker)
    return {
        Sort.QUERY: lambda: messages.query(marker),
        Sort.PARSE: lambda: messages.parse(owed.name, marker),
        Sort.BIND: lambda: frontend.bind(owed.name, marker),
        Sort.DESCRIBE_STATEMENT: lambda: messages.describe("S", marker),
        Sort.DESCRIBE_PORTAL: lambda: messages.describe("P", marker),
        Sort.EXECUTE: lambda: frontend.execute(marker),
    }[owed.sort]()
