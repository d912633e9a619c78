"""pgbench -S and a million rows through the broker's `ssh -L`, beside OpenSSH's own `-L`.

Both lead to the same PostgreSQL, by the same client and cipher, in rounds that take turns; each
figure is the median over the rounds. The broker judges, masks and records; OpenSSH only forwards.
pgbench's keys are random, so that a simple statement is a new text each time.

Run: python bench/forward.py [--seconds N] [--rounds N] [--only pgbench|rows] [--million N]
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psycopg
from rig.room import PASSWORD, Room, connect, room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from broker.demo.database import Database

MODES = ("simple", "extended", "prepared")
CLIENTS = (1, 16)
HEAD = "   direct    ssh -L    broker      ratio   lowest-highest"
ROWS = """
CREATE TABLE {name} (id int, customer int, cents int, placed timestamptz, item text);
INSERT INTO {name} SELECT n, n % 1000, n * 7 % 100000,
    '2026-01-01'::timestamptz + n * '1 s'::interval, 'kettle number ' || n
    FROM generate_series(1, {count}) n;
"""


def prepare(database: Database, million: int) -> None:
    """pgbench's tables, the wide ones, and no statement log: it would cost both ways alike."""
    init = [str(database.bin / "pgbench"), "-h", "127.0.0.1", "-q", "-i", "-U", "postgres"]
    init += ["-p", str(database.port), "orders"]
    subprocess.run(init, env={"PGPASSWORD": PASSWORD}, check=True, capture_output=True)
    with connect(database) as admin:
        admin.execute("ALTER DATABASE orders SET log_statement = 'none'")
        for name in ("clean", "masked"):
            admin.execute(ROWS.format(name=name, count=million))
        admin.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
        admin.execute("VACUUM ANALYZE")


def pgbench(database: Database, port: int, mode: str, clients: int, seconds: float) -> float:
    """Transactions a second."""
    argv = [str(database.bin / "pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "app"]
    argv += ["-n", "-S", "-M", mode, "-c", str(clients), "-T", f"{seconds:.0f}", "orders"]
    env = {"PGPASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    found = re.search(r"tps = ([\d.]+)", ran.stdout)
    if found is not None:
        return float(found.group(1))
    if "actually processed: 0" in ran.stdout:
        return 0.0  # a way that has not answered once in all that time
    sys.exit(f"bench: pgbench failed: {ran.stdout}{ran.stderr}")


def fetch(port: int, table: str, million: int) -> float:
    """Seconds until libpq has every row of a table."""
    options = f"host=127.0.0.1 port={port} dbname=orders user=app password={PASSWORD}"
    connection = psycopg.pq.PGconn.connect(options.encode())
    try:
        began = time.perf_counter()
        result = connection.exec_(b"TABLE " + table.encode())
        took = time.perf_counter() - began
        if result.ntuples != million:
            sys.exit(f"bench: {table}: {result.error_message.decode(errors='replace')}")
        return took
    finally:
        connection.finish()


async def measure_pgbench(made: Room, ports: dict[str, int], words: argparse.Namespace) -> None:
    """Print one row for each mode and number of clients."""
    print("pgbench -S, transactions/s (median of rounds)")
    print(f"mode      clients {HEAD}")
    for mode in MODES:
        for clients in CLIENTS:
            rounds = [
                {
                    way: await asyncio.to_thread(
                        pgbench, made.database, port, mode, clients, words.seconds
                    )
                    for way, port in ports.items()
                }
                for _ in range(words.rounds)
            ]
            print(f"{mode:<9} {clients:>7} {row(rounds, '9.0f')}", flush=True)


async def measure_rows(ports: dict[str, int], words: argparse.Namespace) -> None:
    """Print one row for each table: lower is better."""
    print(f"SELECT of {words.million} rows x 5 columns, seconds (median of rounds)")
    print(f"table             {HEAD}")
    for table, what in (("clean", "unmasked"), ("masked", "one column masked")):
        rounds = [
            {
                way: await asyncio.to_thread(fetch, port, table, words.million)
                for way, port in ports.items()
            }
            for _ in range(words.rounds)
        ]
        print(f"{what:<17} {row(rounds, '9.2f')}", flush=True)


def row(rounds: Sequence[Mapping[str, float]], form: str) -> str:
    """The middle of each way, and the broker's ratio to OpenSSH in the middle and at its ends."""
    figures = [format(median(one[way] for one in rounds), form) for way in rounds[0]]
    ratios = sorted(one["broker"] / one["ssh -L"] for one in rounds)
    return f"{' '.join(figures)} {median(ratios):>10.2f}   {ratios[0]:.2f}-{ratios[-1]:.2f}"


async def main() -> None:
    """Measure each mode by each way."""
    reads = argparse.ArgumentParser()
    reads.add_argument("--seconds", type=float, default=4)
    reads.add_argument("--rounds", type=int, default=3)
    reads.add_argument("--million", type=int, default=1_000_000)
    reads.add_argument("--only", choices=("pgbench", "rows"))
    words = reads.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as name:
        async with room(Path(name)) as made:
            await asyncio.to_thread(prepare, made.database, words.million)
            there = f"127.0.0.1:{made.database.port}"
            async with (
                made.forward("jump", there) as plain,
                made.forward("broker@agent", "orders:5432") as broker,
            ):
                ports = {"direct": made.database.port, "ssh -L": plain, "broker": broker}
                if words.only != "rows":
                    await measure_pgbench(made, ports, words)
                if words.only != "pgbench":
                    await measure_rows(ports, words)


if __name__ == "__main__":
    asyncio.run(main())
