"""SQL taken apart by PostgreSQL's own grammar: text in, Facts out.

text ──► grammar (bounds, parse) ──► walk, with what queries, statements and objects say of a node
                                       │      └── names, constant, settings, builtin
                                       ▼
         catalogue ──────────────► resolve: through views, rules, partitions and functions

second (sqlparse): how another reader splits the text, for the approval card
"""

from __future__ import annotations

from broker.model import Facts
from broker.policy.sql import grammar
from broker.policy.sql.reading import HANDLERS, Reading, read

__all__ = ["HANDLERS", "Reading", "facts", "fingerprint", "read"]


def facts(text: str) -> Facts:
    """What a text says by itself, without any catalogue."""
    return Facts(read(text).parts)


def fingerprint(text: str) -> str:
    """What texts share that differ in nothing but their constants; nothing for an empty one."""
    return grammar.fingerprint(text) if read(text).count else ""
