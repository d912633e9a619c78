"""What a plain write would change, exactly: run as it is, counted, and always rolled back.

Only what leaves nothing behind is tried: one ordinary table, without triggers, rules, row security,
or anything else that could run code of its own, and no function that does more than compute. It
takes the real locks while it runs, so it waits for none longer than 200 ms and runs for 5 s at
most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import InterlockError
from broker.policy.sql import calls, writes
from broker.postgres.aside import Failed, aside
from broker.wire import bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.model import Parameter, Statement
    from broker.policy.sql.writes import Plain
    from broker.postgres.aside import Aside, Connect

SECONDS = 5.0
SETTINGS = {"client_connection_check_interval": "500"}  # a broker that dies is noticed
# Internal triggers that only look whether a foreign key holds; those that cascade are not here.
_CHECKS = "RI_FKey_check_ins RI_FKey_check_upd RI_FKey_noaction_del RI_FKey_noaction_upd"
_CHECKS += " RI_FKey_restrict_del RI_FKey_restrict_upd"
_TABLE = """
SELECT c.oid::text, c.relkind::text, c.relhasrules::text, c.relrowsecurity::text,
       (c.relhassubclass OR c.relispartition)::text
FROM pg_catalog.pg_class c
WHERE c.oid = pg_catalog.to_regclass($1)
"""
_TRIGGERS = f"""
SELECT t.tgname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = $1::oid AND t.tgenabled <> 'D'
  AND NOT (t.tgisinternal AND p.proname = ANY ('{{{_CHECKS.replace(" ", ",")}}}'))
LIMIT 1
"""  # noqa: S608 - words of this file
_CHECKED = """
SELECT pg_catalog.pg_get_expr(k.conbin, k.conrelid) FROM pg_catalog.pg_constraint k
WHERE k.conrelid = $1::oid AND k.conbin IS NOT NULL
UNION ALL
SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.adrelid = $1::oid AND a.attgenerated <> ''
"""
_DEFAULTS = (
    _CHECKED
    + """
UNION ALL
SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
WHERE d.adrelid = $1::oid
"""
)
_FOREIGN_CODE = """
SELECT 'an operator of its own' FROM pg_catalog.pg_operator o
JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
WHERE o.oprnamespace <> 'pg_catalog'::regnamespace AND p.provolatile = 'v'
UNION ALL
SELECT 'a cast of its own' FROM pg_catalog.pg_cast k
JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc
WHERE p.pronamespace <> 'pg_catalog'::regnamespace
UNION ALL
SELECT 'a column of a type of its own' FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
  AND t.typnamespace <> 'pg_catalog'::regnamespace AND t.typtype <> 'e'
LIMIT 1
"""
_INDEX_CODE = """
SELECT pg_catalog.pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i
WHERE i.indrelid = $1::oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """The exact count, or why there is none."""

    rows: int | None = None
    why_not: str = ""

    def __str__(self) -> str:
        return f"{self.rows} rows" if self.rows is not None else f"not made: {self.why_not}"


class _Unfit(Exception):
    """It is not tried out; the text says why."""


async def dry_run(connect: Connect, statement: Statement, parameters: Sequence[Parameter]) -> Found:
    """Try it out; never raises because of the target."""
    try:
        plain = writes.plain(statement.text)
        if isinstance(plain, str):
            raise _Unfit(plain)
        _computes_only(statement.text, "it")
        async with aside(connect, SECONDS, SETTINGS) as talk:
            await _check(talk, plain)
            answer = await talk.run(statement.text, statement.values, parameters)
        return Found(bounds.affected(answer.tag))
    except _Unfit as unfit:
        return Found(None, str(unfit))
    except Failed as failed:
        return Found(None, f"the target refused it: {failed}")
    except TimeoutError:
        return Found(None, f"it did not end within {SECONDS:.0f} seconds")
    except (InterlockError, OSError):
        return Found(None, "the target could not be asked")


async def _check(talk: Aside, plain: Plain) -> None:
    """Raises _Unfit for a table of which more could change than rows that are rolled back."""
    written = ".".join(_quoted(each) for each in (plain.schema, plain.table) if each)
    found = (await talk.run(_TABLE, (written.encode(),))).rows
    if not found:
        raise _Unfit("its table is not known")
    oid, relkind, *flags = (cell or b"" for cell in found[0])
    if relkind != b"r":
        raise _Unfit("it is not about an ordinary table")
    for flag, what in zip(flags, ("rules", "row security", "children"), strict=True):
        if flag == b"true":
            raise _Unfit(f"its table has {what}")
    for query, what in (
        (_TRIGGERS, "its table has triggers"),
        (_FOREIGN_CODE, "its database has operators, casts or types with code of their own"),
        (_INDEX_CODE, "its table has an index over an expression"),
    ):
        if (await talk.run(query, (oid,))).rows:
            raise _Unfit(what)
    for row in (await talk.run(_DEFAULTS if plain.defaults else _CHECKED, (oid,))).rows:
        _computes_only(f"SELECT {(row[0] or b'').decode()}", "a default or check of its table")


def _computes_only(text: str, what: str) -> None:
    """Raises _Unfit for a text that calls a function which may do more than compute."""
    if (why := calls.other_code(text, what)) is not None:
        raise _Unfit(why)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
