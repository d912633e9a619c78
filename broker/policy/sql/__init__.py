"""SQL taken apart by PostgreSQL's own grammar: text in, Facts out.

text ──► grammar (bounds, parse) ──► walk, with what queries, statements and objects say of a node
                                       └── names, constant, settings, catalogue
         second (sqlparse): how another reader splits the text, for the approval card
"""

from __future__ import annotations

from broker.errors import Unparsable
from broker.model import Facts, Part
from broker.policy.sql import grammar, objects, queries, statements
from broker.policy.sql.walk import Context, Walk

MAX_PARTS = 1000  # each is weighed against every rule
HANDLERS = objects.HANDLERS | statements.HANDLERS | queries.HANDLERS


def facts(text: str) -> Facts:
    """What every statement of a text does; Unparsable when the grammar does not accept it."""
    try:
        trees = grammar.parse(text)
        parts: dict[Part, None] = {}
        for tree in trees:
            parts |= dict.fromkeys(Walk(HANDLERS).run(tree, Context()))
    except RecursionError:
        raise Unparsable(grammar.TOO_DEEP) from None
    if len(parts) > MAX_PARTS:
        msg = f"the text does more than {MAX_PARTS} different things"
        raise Unparsable(msg)
    return Facts(tuple(parts), grammar.fingerprint(text) if trees else "")


def count(text: str) -> int:
    """How many statements a text holds."""
    return len(grammar.parse(text))
