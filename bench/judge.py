"""Verdicts on a 500-byte statement, beside what the parser alone takes for it; one run, one core.

`parser` is libpg_query and nothing else. `from scratch` is a text that was never seen, judged
through a catalogue of 1,000 relations; `again` is the same text once more. Then the largest
statements that are accepted: read in a process of their own (`there`), judged here (`here`).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

from broker.model import Identity, Kind, Language, Statement
from broker.policy import judge
from broker.policy.judge import Judge
from broker.policy.rules import Block, Rule
from broker.policy.sql import grammar
from broker.policy.sql.catalogue import Catalogue, Relation
from broker.postgres.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TEXT = """SELECT o.id, o.total, c.name, c.email, count(*) AS n, sum(i.quantity * i.price) AS amount
FROM orders o JOIN customers c ON c.id = o.customer_id
LEFT JOIN order_items i ON i.order_id = o.id
WHERE o.created_at >= '2026-01-01' AND o.created_at < '2026-02-01'
  AND o.status IN ('paid', 'shipped', 'delivered') AND c.country = 'NL'
  AND lower(c.email) LIKE '%@example.com' AND o.total BETWEEN 10 AND {}
GROUP BY o.id, o.total, c.name, c.email HAVING sum(i.quantity) > 2
ORDER BY amount DESC, o.id LIMIT 50 OFFSET 10"""
ALL = ("*",)
RULES = [
    *(Rule(f"r{n}", (f"group:g{n}",), ALL, allow=Block(tables=(f"s{n}.*",))) for n in range(20)),
    Rule("read", ALL, ALL, allow=Block(("select", "explain"), ("public.*",), max_rows=1000)),
    Rule("write", ALL, ALL, review=Block(("insert", "update", "delete"), approvers=("group:dba",))),
    Rule("never", ALL, ALL, deny=Block(("update", "delete"), unbounded=True)),
]
NAMES = ["orders", "customers", "order_items", *(f"t{n}" for n in range(1000))]
CATALOGUE = Catalogue("1", {f"public.{name}": Relation() for name in NAMES})
ME = Identity("bot", Kind.AGENT, "github", "s", groups=("ci",))
LARGE = {
    "in list": "SELECT 1 WHERE 1 IN (1" + ",1" * 131_000 + ")",
    "columns": "SELECT 1" + ",a.b" * 65_500,
    "comparisons": "DELETE FROM t WHERE a=1" + " OR a=1" * 37_000,
    "one string": "SELECT '" + "x" * 262_000 + "'",
}
ROUNDS = 5000


def measured(name: str, act: Callable[[], object]) -> None:
    """One line: half of the rounds were faster, 99 of 100 were faster."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        act()
        times.append((time.perf_counter_ns() - began) / 1000)
    times.sort()
    print(f"{name:<14} {times[ROUNDS // 2]:>8.1f} {times[ROUNDS * 99 // 100]:>8.1f}")


def no_shell(text: str) -> Mapping[str, object]:
    """No command lines here."""
    raise ValueError(text)


def raw(data: bytes) -> None:
    """The parser alone."""
    grammar.lib.pg_query_free_parse_result(grammar.lib.pg_query_parse(data))


async def main() -> None:
    """Measure."""
    judging = Judge(RULES, no_shell, "hash")
    numbers = itertools.count(1000)
    statement = Statement(Language.SQL, TEXT.format(1000))
    print(f"{len(statement.text)} bytes      p50 us   p99 us")
    data = statement.text.encode()
    measured("parser", lambda: raw(data))
    measured(
        "from scratch",
        lambda: judging(
            ME, "orders", Statement(Language.SQL, TEXT.format(next(numbers))), CATALOGUE
        ),
    )
    measured("again", lambda: judging(ME, "orders", statement, CATALOGUE))
    print("\n256 KiB       there ms  here ms")
    reader = Reader()
    await reader.prepare("SELECT 0" + ",0" * judge.LARGE)
    for name, text in LARGE.items():
        began = time.perf_counter()
        await reader.prepare(text)
        read = time.perf_counter()
        judging(ME, "orders", Statement(Language.SQL, text), CATALOGUE)
        done = time.perf_counter()
        print(f"{name:<14} {1000 * (read - began):>7.0f} {1000 * (done - read):>8.2f}")
    await reader.close()


if __name__ == "__main__":
    asyncio.run(main())
