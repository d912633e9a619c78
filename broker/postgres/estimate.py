"""What the target's own planner says a statement would touch; nothing is run.

Planning may run immutable functions, so it happens in a read-only transaction with short timeouts,
and not at all for a statement that calls a function which may do more than compute. Nobody has
approved the statement yet, so what is planned is its outline, with its constants as values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker.errors import InterlockError
from broker.model import Parameter
from broker.policy.sql import calls, writes
from broker.policy.sql.outline import outline
from broker.postgres.aside import READ_ONLY, Failed, aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from broker.model import Statement
    from broker.postgres.aside import Aside, Connect

SECONDS = 2.0
TABLES = 8  # of which sizes are told
# The server cannot tell the type of a constant that was taken out: it needs the statement itself.
_UNTYPED = frozenset({"42725", "42804", "42883", "42P08", "42P18", "42P10"})
_SIZE = """
SELECT c.reltuples::bigint, c.relpages::bigint * current_setting('block_size')::bigint
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname::text = $1 AND c.relname::text = $2
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rows by the planner, or why it does not say; and how big the tables are."""

    rows: int | None = None
    unknown: str = ""
    sizes: tuple[str, ...] = ()


async def estimate(
    connect: Connect,
    statement: Statement,
    parameters: Sequence[Parameter],
    tables: Iterable[str],
) -> Estimate:
    """Ask the target; never raises because of it."""
    sizes: tuple[str, ...] = ()
    unknown = writes.unexplainable(statement.text) or calls.other_code(statement.text, "it") or ""
    try:
        async with aside(connect, SECONDS, READ_ONLY) as talk:
            sizes = await _sizes(talk, list(tables)[:TABLES])
            if unknown:
                return Estimate(None, unknown, sizes)
            return Estimate(await _planned(talk, statement, parameters), "", sizes)
    except Failed as failed:
        return Estimate(None, f"the target does not plan it: {failed}", sizes)
    except TimeoutError:
        return Estimate(None, f"the target did not plan it within {SECONDS:.0f} seconds", sizes)
    except (InterlockError, OSError, ValueError, LookupError, TypeError):
        return Estimate(None, "the target could not be asked", sizes)


async def _planned(talk: Aside, statement: Statement, parameters: Sequence[Parameter]) -> int:
    values = statement.values
    known = [*parameters, *[Parameter()] * (len(values) - len(parameters))]
    made = outline(statement.text, len(values))
    if made is not None:
        beside = [Parameter()] * len(made.values)
        try:
            return await _explained(talk, made.text, (*values, *made.values), known + beside)
        except Failed as failed:
            if failed.code_of_server not in _UNTYPED:
                raise
            await talk.simple("ROLLBACK")
            await talk.simple("BEGIN")
    return await _explained(talk, statement.text, values, known)


async def _explained(
    talk: Aside, text: str, values: Sequence[bytes | None], known: Sequence[Parameter]
) -> int:
    answer = await talk.run(f"EXPLAIN (FORMAT JSON) {text}", values, known)
    return planned(json.loads(answer.rows[0][0] or b""))


async def _sizes(talk: Aside, tables: Iterable[str]) -> tuple[str, ...]:
    found = []
    for table in tables:
        schema, _, name = table.partition(".")
        answer = await talk.run(_SIZE, (schema.encode(), name.encode()))
        if answer.rows:
            rows, size = (int(cell or b"0") for cell in answer.rows[0])
            found.append(f"{table}: {_about(rows)}, {_bytes(size)}")
    return tuple(found)


def planned(plans: Any) -> int:  # noqa: ANN401 - the server's JSON
    """The rows of a plan: those that it writes, in whatever part; else those that it returns."""
    top = plans[0]["Plan"]
    written = list(_written(top))
    return sum(written) if written else int(top["Plan Rows"])


def _written(plan: dict[str, Any]) -> Iterable[int]:
    for part in plan.get("Plans", ()):
        feeds = part.get("Parent Relationship") in {"Outer", "Member"}
        if plan["Node Type"] == "ModifyTable" and feeds:
            yield int(part["Plan Rows"])
        yield from _written(part)


def _about(rows: int) -> str:
    return "size not known yet" if rows < 0 else f"about {rows:,} rows"


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 10 * 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GB"
