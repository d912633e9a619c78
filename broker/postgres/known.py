"""The names of a target's tables and columns, for completion: looked up by ourselves, and kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from broker.ports import Clock
    from broker.postgres.upstream import Upstream

    Tables = Mapping[tuple[str, str], tuple[str, ...]]

log = logging.getLogger("interlock.postgres")

AGE_SECONDS = 60.0
# A catalogue that is larger than the limit completes in part.
_QUERY = """
SELECT n.nspname, c.relname, a.attname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND a.attnum OPERATOR(pg_catalog.>) 0
  AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)'
ORDER BY n.nspname, c.relname, a.attnum LIMIT 20000
"""


@dataclass
class Names:
    """Columns by schema and table; empty until they are known."""

    tables: Tables = field(default_factory=dict)


class Known:
    """What was looked up on each target."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Names]] = {}

    async def into(
        self, names: Names, target: str, connect: Callable[[], Awaitable[Upstream]]
    ) -> None:
        """Fill in a target's names; they stay empty when it cannot be asked."""
        now = self._clock().timestamp()
        at, kept = self._kept.get(target, (now - AGE_SECONDS, names))
        if now - at >= AGE_SECONDS:
            try:
                upstream = await connect()
                try:
                    kept = Names(_tables(await upstream.query(_QUERY)))
                finally:
                    upstream.abort()
            except (TargetUnreachable, OSError) as error:
                log.info("%s: no names for completion: %s", target, error)
                return
            self._kept[target] = (now, kept)
        names.tables = kept.tables


def _tables(rows: list[list[bytes | None]]) -> Tables:
    tables: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        schema, table, column = [(cell or b"").decode("utf-8", "replace") for cell in row]
        tables.setdefault((schema, table), []).append(column)
    return {name: tuple(columns) for name, columns in tables.items()}
