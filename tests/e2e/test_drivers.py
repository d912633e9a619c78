"""Stock drivers and programs through `ssh -L`, by a reader and, where natural, a writer."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import psycopg.types.composite
import psycopg.types.enum
import pytest
import sqlalchemy
from psycopg import sql

from broker.postgres.program import find_psql
from tests.fixtures.postgres import system_binaries

if TYPE_CHECKING:
    from tests.fixtures.drivers import Shop

pytestmark = pytest.mark.peer

HIDDEN = "*" * len("ada-secret")

DESCRIBING = r"""
\d \d+ \da \dA \dAc \dAf \dAo \dAp \db \dc \dC \dd \dD \ddp \dE \des \det  \dew \df
\df+ \dF \dFd \dFp \dFt \dg \di \di+ \dl \dL \dm \dn \dn+ \do \dO \dp \dP \drds \dRp \dRp+
\ds \dt \dt+ \dtS \dT \dT+ \du \dv \dv+ \dx \dX \dy \l \l+ \z \sf\ greet \sv\ happy \d\ people
\d+\ people \d\ sales.orders \d+\ sales.orders \d\ parts \d+\ parts \d\ happy \d+\ happy \d\
totals \d\ counter \d\ children \d\ orders_at \d\ mood \dt\ sales.* \df\ greet \d\ sales.*
"""


def commands() -> list[str]:
    return [word.replace("\0", " ") for word in re.sub(r"\\\s", "\0", DESCRIBING).split()]


def binaries() -> list[Path]:
    """PostgreSQL 18's programs, and the system's."""
    system = system_binaries()
    return [find_psql().parent, *([system] if system else [])]


def program(
    folder: Path, name: str, *words: str, given: str = "", password: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program of PostgreSQL to its end."""
    return subprocess.run(
        [str(folder / name), *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=50,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PGPASSWORD": password},
        check=False,
    )


def at(port: int) -> list[str]:
    return ["-h", "127.0.0.1", "-p", str(port), "-U", "app", "-d", "shop"]


@pytest.mark.parametrize("folder", binaries(), ids=lambda path: path.parts[-2])
def test_psql_describes_as_it_does_without_us(shop: Shop, folder: Path) -> None:
    script = "".join(f"\\echo {line}\n{line}\n" for line in commands())
    words = ["-X", "-P", "pager=off"]
    with shop.nothing_refused(), shop.port() as port:
        through = program(folder, "psql", *words, *at(port), given=script)
    own = {"password": shop.server.app_password}
    plain = program(folder, "psql", *words, *at(shop.server.port), given=script, **own)
    assert (through.returncode, through.stderr) == (plain.returncode, plain.stderr)
    assert through.stdout == plain.stdout
    assert "who buys" in through.stdout


def test_pg_dump_dumps_the_schema_that_it_dumps_without_us(shop: Shop) -> None:
    folder = find_psql().parent
    with shop.port() as port:
        ran = program(folder, "pg_dump", "--schema-only", *at(port))
    assert ran.returncode == 0, ran.stderr
    own = {"password": shop.server.app_password}
    plain = program(folder, "pg_dump", "--schema-only", *at(shop.server.port), **own)
    keyless = [re.sub(r"\\(un)?restrict \w+", "", text) for text in (ran.stdout, plain.stdout)]
    # A prepared statement may read what it does not name, so what it computes is masked here,
    # where a column of the database is.
    through, direct = (text.splitlines() for text in keyless)
    assert len(through) == len(direct)
    for line, expected in zip(through, direct, strict=True):
        shown = re.sub(r"(?:\\\*)+", ".+", re.escape(line))
        assert re.fullmatch(shown, expected)


# -- psycopg ---------------------------------------------------------------------------------------


def test_psycopg(shop: Shop) -> None:
    with (
        shop.nothing_refused(),
        shop.port() as port,
        psycopg.connect(f"host=127.0.0.1 port={port} dbname=shop user=x") as connection,
    ):
        rows = connection.execute(
            "SELECT name, secret, tags, extra, born FROM people WHERE id = %s", [1]
        )
        assert rows.fetchone()[:2] == ("Ada", HIDDEN)  # type: ignore[index]
        with connection.cursor("server_side") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT n FROM generate_series(1, 50) n")
            assert [n for (n,) in cursor] == list(range(1, 51))
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", [n]) for n in range(20)]
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(20)]
        with connection.cursor(binary=True) as binary:
            assert binary.execute("SELECT id, name FROM happy").fetchall() == [(1, "Ada")]
        for _ in range(8):  # prepared by itself from the fifth time on
            assert connection.execute("SELECT %s::text", ["x"]).fetchone() == ("x",)
        mood = psycopg.types.enum.EnumInfo.fetch(connection, "mood")
        assert mood is not None
        assert list(mood.labels) == ["sad", "ok", "happy"]
        pair = psycopg.types.composite.CompositeInfo.fetch(connection, "pair")
        assert pair is not None
        assert list(pair.field_names) == ["a", "b"]


async def test_psycopg_async(shop: Shop) -> None:
    with shop.nothing_refused(), shop.port() as port:
        conninfo = f"host=127.0.0.1 port={port} dbname=shop user=x"
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT count(*) FROM sales.orders")
                assert await cursor.fetchone() == (50,)
            async with connection.pipeline():
                found = [await connection.execute("SELECT %s::int", [n]) for n in range(5)]
            assert [await one.fetchone() for one in found] == [(n,) for n in range(5)]


def test_psycopg_writes_and_copies(shop: Shop) -> None:
    with (
        shop.nothing_refused(),
        shop.port(shop.writer) as port,
        psycopg.connect(f"host=127.0.0.1 port={port} dbname=shop user=x") as connection,
    ):
        connection.execute("CREATE TABLE copied (id int, what text)")
        cursor = connection.cursor()
        with cursor.copy("COPY copied (id, what) FROM STDIN") as copy:
            for n in range(100):
                copy.write_row((n, f"row {n}"))
        cursor.executemany("INSERT INTO copied VALUES (%s, %s)", [(n, "many") for n in range(10)])
        assert cursor.execute("SELECT count(*) FROM copied").fetchone() == (110,)
        with cursor.copy("COPY parts_2026 (id) TO STDOUT") as copy:
            assert list(copy.rows()) == []
        name = sql.Identifier("copied")
        connection.execute(sql.SQL("DROP TABLE {}").format(name))


# -- asyncpg ---------------------------------------------------------------------------------------


async def _nothing(_: object) -> None:
    """A connection that is given back to the pool stays as it is."""


async def test_asyncpg(shop: Shop) -> None:
    with shop.nothing_refused(), shop.port() as port:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="x", database="shop")
        try:
            row = await connection.fetchrow(
                "SELECT name, secret, mood FROM people WHERE id = $1", 1
            )
            assert tuple(row) == ("Ada", HIDDEN, "happy")
            assert await connection.fetchval("SELECT tags FROM people WHERE id = 1") == ["a", "b"]
            async with connection.transaction(readonly=True):
                found = [r["id"] async for r in connection.cursor("SELECT id FROM sales.orders")]
            assert len(found) == 50
            assert await connection.fetchval("SELECT ROW(1, 'b')::pair") == (1, "b")
        finally:
            await connection.close()
        async with asyncpg.create_pool(
            host="127.0.0.1",
            port=port,
            user="x",
            database="shop",
            min_size=2,
            max_size=3,
            reset=_nothing,  # its own ends with RESET ALL, which a rule must name
        ) as pool:
            numbers = await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(9)))
        assert numbers == list(range(9))


async def test_asyncpg_writes(shop: Shop) -> None:
    with shop.nothing_refused(), shop.port(shop.writer) as port:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="x", database="shop")
        try:
            async with connection.transaction():
                await connection.execute("CREATE TABLE fast (id int, what text)")
                await connection.executemany(
                    "INSERT INTO fast VALUES ($1, $2)", [(1, "a"), (2, "b")]
                )
                records = [(n, "c") for n in range(10)]
                await connection.copy_records_to_table("fast", records=records)
                assert await connection.fetchval("SELECT count(*) FROM fast") == 12
                await connection.execute("DROP TABLE fast")
        finally:
            await connection.close()


# -- SQLAlchemy ------------------------------------------------------------------------------------


def test_sqlalchemy_reflects(shop: Shop) -> None:
    with shop.nothing_refused(), shop.port() as port:
        engine = sqlalchemy.create_engine(f"postgresql+psycopg://x@127.0.0.1:{port}/shop")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)  # types it does not know
                described = sqlalchemy.MetaData()
                described.reflect(engine, views=True)
                sales = sqlalchemy.MetaData()
                sales.reflect(engine, schema="sales")
            look = sqlalchemy.inspect(engine)
            assert look.get_table_comment("people") == {"text": "who buys"}
            enums = look.get_enums()  # type: ignore[attr-defined]  # PostgreSQL alone has them
            assert enums[0]["labels"] == ["sad", "ok", "happy"]
            assert look.get_sequence_names() != []
            assert look.get_check_constraints("orders", schema="sales") != []
            assert "sales" in look.get_schema_names()
            assert look.get_view_definition("happy") is not None
            people = described.tables["people"]
            with engine.connect() as connection:
                query = sqlalchemy.select(people.c.name, people.c.secret).order_by(people.c.id)
                assert connection.execute(query).all() == [("Ada", HIDDEN), ("Bob", HIDDEN)]
        finally:
            engine.dispose()
    assert {"people", "parts", "happy", "totals"} <= set(described.tables)
    (key,) = sales.tables["sales.orders"].c.person.foreign_keys
    assert key.target_fullname == "people.id"


# -- Java ------------------------------------------------------------------------------------------

PGJDBC = "42.7.4"


@pytest.fixture(scope="session")
def pgjdbc() -> Path:
    """The driver's jar, from Maven Central by Maven, kept for the next time."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        pytest.skip("needs java and mvn")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "interlock-tests"
    jar = folder / f"postgresql-{PGJDBC}.jar"
    if not jar.exists():
        what = f"-Dartifact=org.postgresql:postgresql:{PGJDBC}"
        words = ["mvn", "-q", "-B", "dependency:copy", what, f"-DoutputDirectory={folder}"]
        ran = subprocess.run(words, capture_output=True, timeout=55, check=False)
        if ran.returncode != 0 or not jar.exists():
            pytest.skip("Maven Central cannot be reached")
    return jar


def test_pgjdbc(shop: Shop, pgjdbc: Path) -> None:
    """Its metadata calls are what tools like DBeaver are made of."""
    source = str(Path(__file__).parent / "java" / "Drive.java")

    def drive(port: int, password: str) -> str:
        words = ["java", "-cp", str(pgjdbc), source, f"jdbc:postgresql://127.0.0.1:{port}/shop"]
        ran = subprocess.run(
            [*words, "app", password], capture_output=True, text=True, timeout=55, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    with shop.nothing_refused(), shop.port() as port:
        through = drive(port, "none")
    plain = drive(shop.server.port, shop.server.app_password)
    assert through == plain.replace("ada-secret", HIDDEN)
    assert f"row Ada {HIDDEN} [a, b]" in through


# -- pgbench ---------------------------------------------------------------------------------------


def test_pgbench(shop: Shop) -> None:
    folder = find_psql().parent
    with shop.nothing_refused(), shop.port(shop.writer) as port:
        where = [*at(port)[:-2], "shop"]
        subprocess.run(
            [folder / "pgbench", "-i", "-q", "-s", "1", "-I", "dtGvp", *where],
            check=True,
            capture_output=True,
            timeout=50,
        )
        for mode in ("simple", "extended", "prepared"):
            words = ["-n", "-t", "20", "-c", "2", "-M", mode]
            for extra in (["-S"], []):
                ran = subprocess.run(
                    [folder / "pgbench", *words, *extra, *where],
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=50,
                )
                assert ran.returncode == 0, ran.stderr
                assert "number of transactions actually processed: 40/40" in ran.stdout
