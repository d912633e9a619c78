"""The relay alone, in this process, between pgbench and a real PostgreSQL over Unix sockets.

Beside it, in the same run: no relay at all, and a relay that only copies bytes. The figures to
trust are the CPU time of this process per transaction or row and the ratios of one run.

Run: python bench/relay.py [SECONDS [ROWS]]
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.config.load import load
from broker.demo.database import Database, database
from broker.evidence.log import AuditLog
from broker.evidence.recorder import SessionRecorder
from broker.gate import Gate
from broker.mask.rows import RowMask
from broker.mask.rules import DETECTORS, Style
from broker.mask.stream import new_stream
from broker.mask.values import Redactor
from broker.model import Identity, Kind, Session, Way
from broker.policy.judge import judge
from broker.postgres.cancel import Cancels
from broker.postgres.relay import relay
from broker.postgres.startup import DuplexOverStreams
from broker.postgres.upstream import connect
from broker.targets import PostgresTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from broker.config.model import Config
    from broker.model import Facts, Statement, Verdict

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CONFIG = """\
listen: 127.0.0.1:0
state: {state}
targets:
  orders: {{kind: postgres, dsn: "postgresql://app@127.0.0.1:{port}/orders?sslmode=disable"}}
rules:
  - name: may-do
    who: ["*"]
    targets: [orders]
    allow: {{actions: [select, explain, update, insert, delete, show, set, transaction]}}
  - name: no-deletes
    who: ["group:none"]
    targets: [orders]
    deny: {{actions: [delete], unbounded: true}}
masking:
  detect: [{detect}]
"""
SETTINGS = {"search_path": "public", "client_encoding": "UTF8", "standard_conforming_strings": "on"}
WHO = Identity("ci", Kind.AGENT, "github", "repo:acme/shop", ("ci",))
WIDE = """
CREATE TABLE wide AS SELECT n AS id, md5(n::text) AS name, 'city number ' || n % 977 AS city,
    n * 1.25 AS amount, timestamp '2026-01-01' + n * interval '1 second' AS at
    FROM generate_series(1, {rows}) n;
GRANT SELECT ON wide TO app;
"""


@dataclass
class Relay:
    """Everything that a session of the broker has, without SSH in front."""

    made: Database
    folder: Path
    config: Config
    audit: AuditLog
    mask_name: bool = False
    sessions: int = 0
    open: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    def target(self) -> PostgresTarget:
        return PostgresTarget(
            name="orders",
            host=str(self.folder / "servers" / "pgdata"),
            port=self.made.port,
            user="app",
            dbname="orders",
            sslmode="disable",
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client of the broker's own relay."""
        self.sessions += 1
        self.open += 1
        self.quiet.clear()
        try:
            await self._session(reader, writer)
        finally:
            writer.close()
            self.open -= 1
            if not self.open:
                self.quiet.set()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sid, masking = f"s{self.sessions}", self.config.masking
        session = Session(
            sid, WHO, "orders", "postgres", Way.FORWARD, datetime.now(UTC), self.config.hash
        )
        recorder = SessionRecorder.open(
            session, self.folder / "recordings", self.audit, terminal=False
        )

        def judged(statement: Statement) -> Verdict:
            return judge(self.config.rules, WHO, "orders", statement, lambda _: {})

        redactor = Redactor(masking)
        gate = Gate(
            session,
            judge=judged,
            reviews=Nobody(),
            audit=self.audit,
            recorder=recorder,
            new_mask=lambda: new_stream(masking),
            redact=redactor.redact,
        )
        upstream = await connect(self.target(), self.made.password, SETTINGS)
        found = await upstream.query("SELECT 'wide'::regclass::oid")
        oid = int(found[0][0] or b"0")
        columns = {(oid, 2): Style.REDACT} if self.mask_name else {}
        try:
            await relay(
                DuplexOverStreams(reader, writer),
                upstream,
                gate,
                mask=RowMask(masking, columns, b"", tables={oid} if columns else None),
                cancels=Cancels(),
                identity=WHO,
                transcribe=True,
                tainted=_never,
            )
        finally:
            recorder.close("ended", 0)

    async def copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes there and back, unread."""
        path = f"{self.target().host}/.s.PGSQL.{self.made.port}"
        up_reader, up_writer = await asyncio.open_unix_connection(path)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        with contextlib.suppress(OSError):
            await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))


class Nobody:
    """No statement here is reviewed."""

    async def ask(self, *_: object) -> Verdict:
        raise NotImplementedError


def _never(_: Facts) -> bool:
    return False


@contextlib.asynccontextmanager
async def listening(folder: Path, serve: Serve) -> AsyncIterator[Path]:
    """A Unix socket on which `serve` serves, named as libpq wants it."""
    room = folder / "front"
    room.mkdir(exist_ok=True)
    server = await asyncio.start_unix_server(serve, room / ".s.PGSQL.5432")
    async with server:
        yield room


async def run(made: Database, host: Path, port: int, *options: str) -> str:
    """What pgbench says of a run."""
    argv = [str(made.bin / "pgbench"), "-h", str(host), "-p", str(port), "-U", "postgres", "-n"]
    env = {"PGPASSWORD": made.password, "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
    process = await asyncio.create_subprocess_exec(
        *argv,
        *options,
        "orders",
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        sys.exit(err.decode())
    return out.decode()


async def small(
    made: Database, host: Path, port: int, options: tuple[str, ...]
) -> tuple[float, float]:
    """Transactions a second, and the CPU of this process for each in microseconds."""
    began = time.process_time()
    out = await run(made, host, port, "-S", *options)
    spent = time.process_time() - began
    tps = re.search(r"tps = ([\d.]+)", out)
    count = re.search(r"actually processed: (\d+)", out)
    if tps is None or count is None or not int(count.group(1)):
        sys.exit(f"bench: pgbench did nothing: {out}")
    return float(tps.group(1)), spent / int(count.group(1)) * 1e6


async def bulk(made: Database, host: Path, port: int, script: Path) -> tuple[float, float]:
    """Seconds for all rows, and the CPU seconds of this process."""
    began, spent = time.perf_counter(), time.process_time()
    await run(made, host, port, "-f", str(script), "-t", "1", "-c", "1")
    return time.perf_counter() - began, time.process_time() - spent


async def measure(relayed: Relay, seconds: str, rows: int) -> None:
    made, folder = relayed.made, relayed.folder
    direct = Path(relayed.target().host), made.port
    print("mode      clients  direct tps  copying  relay  copying us/txn  relay us/txn")
    for mode in ("simple", "extended", "prepared"):
        for clients in ("1", "16"):
            options = ("-M", mode, "-c", clients, "-T", seconds)
            plain, _ = await small(made, *direct, options)
            async with listening(folder, relayed.copy) as room:
                copied, floor = await small(made, room, 5432, options)
            async with listening(folder, relayed.serve) as room:
                ours, cost = await small(made, room, 5432, options)
            print(
                f"{mode:<9} {clients:>7} {plain:>11.0f} {copied / plain:>8.2f} {ours / plain:>6.2f}"
                f" {floor:>15.0f} {cost:>13.0f}"
            )
    script = folder / "wide.sql"
    script.write_text("SELECT * FROM wide;\n")
    await bulk(made, *direct, script)
    plain, _ = await bulk(made, *direct, script)
    print(f"\n{rows} rows of 5 columns: direct {plain:.2f} s; ratio to it, CPU of this process")
    async with listening(folder, relayed.copy) as room:
        took, spent = await bulk(made, room, 5432, script)
    print(f"copying               {took / plain:>6.2f} {spent / rows * 1e9:>8.0f} ns/row")
    for relayed.mask_name in (False, True):
        async with listening(folder, relayed.serve) as room:
            took, spent = await bulk(made, room, 5432, script)
        what = "relay, one masked" if relayed.mask_name else "relay, none masked"
        print(f"{what:<21} {took / plain:>6.2f} {spent / rows * 1e9:>8.0f} ns/row")


async def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "3"
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "servers").mkdir(mode=0o711)
        sample = "CREATE ROLE app LOGIN PASSWORD 'APP_PASSWORD';"
        async with database(folder / "servers", "bench", sample) as made:
            await run(made, Path(folder / "servers" / "pgdata"), made.port, "-i", "-q")
            conninfo = f"host=127.0.0.1 port={made.port} dbname=orders user=postgres"
            with psycopg.connect(conninfo, password="bench", autocommit=True) as connection:  # noqa: S106
                connection.execute(WIDE.format(rows=rows).encode())
                connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
                connection.execute("VACUUM ANALYZE")
            path = folder / "interlock.yaml"
            detect = ", ".join(DETECTORS)
            path.write_text(CONFIG.format(state=folder / "state", port=made.port, detect=detect))
            key = Ed25519PrivateKey.generate()
            audit = AuditLog.open(folder / "log", key, "bench", lambda: datetime.now(UTC))
            sealing = asyncio.ensure_future(audit.keep_sealed())
            config = load(path, environ={})
            relayed = Relay(made, folder, config, audit)
            await measure(relayed, seconds, rows)
            await relayed.quiet.wait()
            sealing.cancel()
            audit.close()


if __name__ == "__main__":
    asyncio.run(main())
