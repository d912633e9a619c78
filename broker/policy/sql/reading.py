"""One text read: what it does by itself, and what only the target's catalogue can make more of."""

from __future__ import annotations

from dataclasses import dataclass

from broker.errors import Unparsable
from broker.model import Part  # noqa: TC001 - msgspec reads the annotations
from broker.policy.sql import grammar, objects, queries, statements
from broker.policy.sql.walk import Context, Made, Walk

MAX_PARTS = 1000  # each is weighed against every rule
HANDLERS = objects.HANDLERS | statements.HANDLERS | queries.HANDLERS

Named = frozenset[tuple[str, str]]  # names, each with the action around it


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says.

    Besides `parts`, code of the target may run by an unqualified call (`calls`), an operator, a
    name after a dot (`fields`), or by what a value is cast to (`types`). `made` is what the text
    gives a new meaning to, `prepares` what it gives a name to run by. `count` is how many
    statements it holds.
    """

    parts: tuple[Part, ...] = ()
    calls: Named = frozenset()
    operators: Named = frozenset()
    fields: frozenset[tuple[str, str, str]] = frozenset()  # with what stands before the dot, too
    types: Named = frozenset()
    made: tuple[Made, ...] = ()
    prepares: tuple[str, ...] = ()
    count: int = 0


def read(text: str) -> Reading:
    """What every statement of a text does; Unparsable when the grammar does not accept it."""
    try:
        return _walked([Walk(HANDLERS).over(tree, Context()) for tree in grammar.parse(text)])
    except RecursionError:
        raise Unparsable(grammar.TOO_DEEP) from None


def read_nodes(nodes: list[grammar.Node]) -> Reading:
    """The same of nodes of a tree that were parsed already."""
    return _walked([Walk(HANDLERS).over(node, Context()) for node in nodes])


def _walked(walks: list[Walk]) -> Reading:
    parts = {part: None for walk in walks for part in walk.parts}
    if len(parts) > MAX_PARTS:
        msg = f"the text does more than {MAX_PARTS} different things"
        raise Unparsable(msg)
    if len(walks) == 1:
        (only,) = walks
        calls, operators, types = only.calls, only.operators, only.types
        fields = only.fields
    else:
        calls = {each for walk in walks for each in walk.calls}
        operators = {each for walk in walks for each in walk.operators}
        fields = {each: None for walk in walks for each in walk.fields}
        types = {each for walk in walks for each in walk.types}
    return Reading(
        tuple(parts),
        frozenset(calls),
        frozenset(operators),
        frozenset(fields),
        frozenset(types),
        tuple(made for walk in walks for made in walk.made),
        tuple(name for walk in walks for name in walk.prepares),
        len(walks),
    )
