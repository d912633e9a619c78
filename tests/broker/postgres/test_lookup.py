"""The catalogue of a real target: what is loaded, what it makes of a statement, when it is new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from broker.model import Answer, Language, Statement, Verdict
from broker.policy.judge import judge
from broker.policy.rules import Block, Rule
from broker.postgres.lookup import (
    LINGER_SECONDS,
    PROBE_SECONDS,
    Lookups,
    Watch,
    may_change,
)
from broker.postgres.upstream import Upstream, connect
from tests.broker.postgres.harness import SETTINGS
from tests.fakes import ALICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from broker.policy.sql.catalogue import Catalogue
    from broker.targets import PostgresTarget
    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

SCHEMA = (Path(__file__).parents[2] / "corpus" / "catalogue_world.sql").read_text()
READ = Rule(
    "read",
    ("*",),
    ("*",),
    allow=Block(actions=("select", "explain", "copy_to", "lock"), tables=("public.*",)),
)
SELECT = Statement(Language.SQL, "SELECT 1")
WRITE = Rule(
    "write",
    ("*",),
    ("*",),
    allow=Block(actions=("insert", "update", "delete", "merge"), tables=("public.*",)),
)


@pytest.fixture(scope="module", params=["postgres", "postgres_tls"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """PostgreSQL 18, and the system's own."""
    made: PostgresServer = request.getfixturevalue(request.param)
    made.execute("CREATE DATABASE catalogued TEMPLATE orders", "postgres")
    made.execute(SCHEMA, "catalogued")
    yield made
    made.execute("DROP DATABASE catalogued WITH (FORCE)", "postgres")


class Looking:
    """Sessions on one target, and the look-ups between them."""

    def __init__(self, server: PostgresServer) -> None:
        self.target = server.target("catalogued")
        self.password = server.app_password
        self.now = 1000.0
        self.connected = 0
        self.lookups = Lookups(self.connect, lambda: self.now)
        self.watch: Watch

    async def connect(self, target: PostgresTarget) -> Upstream:
        self.connected += 1
        settings = SETTINGS | {"application_name": "look"}
        return await connect(target, self.password, settings)

    @property
    def catalogue(self) -> Catalogue:
        found = self.lookups.of("catalogued")
        assert found is not None
        return found


@pytest.fixture
async def looking(server: PostgresServer) -> AsyncIterator[Looking]:
    """One session under way."""
    made = Looking(server)
    upstream = await connect(made.target, made.password, SETTINGS)
    made.watch = watch = await made.lookups.begin(made.target, upstream)
    assert not upstream.leftover()
    assert upstream.parameters.get("search_path", "public") == "public"
    yield made
    await watch.close()
    await upstream.close()


def no_shell(text: str) -> dict[str, Any]:
    raise AssertionError(text)


def verdict(catalogue: Catalogue, text: str, *rules: Rule) -> Verdict:
    statement = Statement(Language.SQL, text)
    return judge(rules or (READ, WRITE), ALICE, "orders", statement, no_shell, catalogue)


REFUSED = {
    "SELECT * FROM keys_view": "select secret.keys (public.keys_view reads it)",
    "TABLE over_it": "select secret.keys (public.keys_view reads it)",
    "EXPLAIN SELECT * FROM over_it": "select secret.keys",
    "COPY keys_view TO STDOUT": "select secret.keys",
    "SELECT 1 FROM keys_view FOR UPDATE": "secret.keys",
    "SELECT * FROM stored": "select secret.keys",
    "INSERT INTO keys_view VALUES (1, 'x')": "insert secret.keys",
    "DELETE FROM keys_view WHERE id = 1": "delete secret.keys",
    "MERGE INTO keys_view k USING orders o ON o.id = k.id WHEN MATCHED THEN DELETE": "secret.keys",
    "WITH x AS (SELECT * FROM keys_view) SELECT 1 FROM orders": "select secret.keys",
    "SELECT * FROM cities": "select secret.capitals (it inherits from public.cities)",
    "UPDATE cities SET name = 'x' WHERE name = 'y'": "update secret.capitals",
    "INSERT INTO ruled VALUES (1)": "insert secret.keys (a rule on public.ruled does it)",
    "DELETE FROM instead WHERE a = 1": "delete secret.keys",
    "UPDATE triggered SET id = 1 WHERE id = 2": "function public.trigger_code",
    "SELECT opaque(1)": "function opaque",
    "SELECT public.opaque(1)": "function public.opaque",
    "SELECT definer(1)": "function definer",
    "SELECT * FROM read_keys()": "select secret.keys (function public.read_keys does it)",
    "SELECT atomic(1)": "select secret.keys",
    "SELECT lower(note) FROM orders": "function public.lower",
    "SELECT c.full_name FROM customers c": "function public.full_name",
    "SELECT customers.full_name FROM customers": "function public.full_name",
    "SELECT (c).full_name FROM customers c": "function full_name",
    "SELECT 1 +| 'x'": "function public.plus (operator +| calls it)",
    "SELECT 1 OPERATOR(public.+|) 'x'": "function operator public.+|",
    "SELECT 1 OPERATOR(app.+) 'x'": "function operator app.+",
    "SELECT 1::guarded": "function public.checked (cast to guarded calls it)",
    "SELECT CAST(1 AS public.guarded)": "function public.checked",
    "SELECT 'x'::pair": "function public.to_pair",
    "SELECT * FROM runs_code": "function public.opaque",
    "SELECT * FROM reads_file": "function pg_read_file",
    "SELECT * FROM no_such_table": None,
}
ALLOWED = [
    "SELECT * FROM harmless_view",
    "SELECT upper(o.note) FROM orders o JOIN customers c ON c.id = o.customer_id",
    "SELECT * FROM events",
    "INSERT INTO events VALUES (1, 1)",
    "SELECT * FROM events_1",
    "UPDATE harmless_view SET id = 1 WHERE id = 2",
    "SELECT add_one(1), public.add_one(2), just(3)",
    "SELECT c.label FROM customers c",
    "SELECT c.name, c.email FROM customers c WHERE c.id BETWEEN 1 AND 2",
    "SELECT (l.place).a, (l.place).b FROM located l",
    "SELECT 1::positive, 'x'::text, 1::int",
    "INSERT INTO ruled2 SELECT 1",
    "SELECT relname FROM pg_class WHERE pg_table_is_visible(oid)",
]


@pytest.mark.parametrize("text", sorted(REFUSED))
async def test_what_is_behind_a_name_needs_a_rule(looking: Looking, text: str) -> None:
    found = verdict(looking.catalogue, text)
    told = REFUSED[text]
    if told is None:  # it is not known: only a rule that names it covers it
        bare = Rule("all", ("*",), ("*",), allow=Block(actions=("select",)))
        assert verdict(looking.catalogue, text, bare).answer is Answer.DENY
        assert found.answer is Answer.ALLOW
        return
    assert found.answer is Answer.DENY
    assert told in found.reason


@pytest.mark.parametrize("text", ALLOWED)
async def test_what_is_harmless_behind_its_name_is_not_refused(looking: Looking, text: str) -> None:
    found = verdict(looking.catalogue, text)
    assert found.answer is Answer.ALLOW, found.reason


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("SELECT * FROM events", "secret.events_2"),
        ("SELECT * FROM events", "public.events_1"),
        ("SELECT * FROM events_1", "public.events"),
        ("INSERT INTO events_1 VALUES (1, 1)", "public.events"),
        ("SELECT * FROM secret.capitals", "public.cities"),
    ],
)
async def test_a_partition_is_denied_and_reviewed_with_its_table(
    looking: Looking, text: str, table: str
) -> None:
    everywhere = Rule("all", ("*",), ("*",), allow=Block(tables=("*.*",)))
    never = Rule("never", ("*",), ("*",), deny=Block(tables=(table,)))
    asked = Rule("ask", ("*",), ("*",), review=Block(tables=(table,), approvers=("bob",)))
    assert verdict(looking.catalogue, text, everywhere).answer is Answer.ALLOW
    assert verdict(looking.catalogue, text, everywhere, never).answer is Answer.DENY
    found = verdict(looking.catalogue, text, everywhere, asked)
    assert found.answer is Answer.REVIEW
    assert table in found.facts.tables


# -- when it is new --------------------------------------------------------------------------------

ALLOWED_DDL = Rule("ddl", ("*",), ("*",), allow=Block(actions=("create", "drop")))
PREPARED = Rule("prepared", ("*",), ("*",), allow=Block(actions=("transaction",)))


async def another(looking: Looking) -> tuple[Watch, Upstream]:
    """Another session on the same target."""
    upstream = await looking.connect(looking.target)
    return await looking.lookups.begin(looking.target, upstream), upstream


async def test_sessions_share_one_catalogue_and_probe_it(looking: Looking) -> None:
    first, connected = looking.catalogue, looking.connected
    watch, upstream = await another(looking)
    assert looking.catalogue is first
    assert looking.connected == connected + 1  # the session's own
    await watch.close()
    await upstream.close()


async def test_a_new_session_sees_what_was_changed_elsewhere(
    looking: Looking, server: PostgresServer
) -> None:
    server.execute("CREATE VIEW made_1 AS TABLE secret.keys", "catalogued")
    assert "public.made_1" not in looking.catalogue.relations
    watch, upstream = await another(looking)
    assert "secret.keys" in looking.catalogue.relations["public.made_1"].query
    await watch.close()
    await upstream.close()
    server.execute("DROP VIEW made_1", "catalogued")


async def test_what_is_changed_elsewhere_counts_after_the_next_probe(
    looking: Looking, server: PostgresServer
) -> None:
    version = looking.catalogue.version
    assert looking.watch.ready(SELECT)
    server.execute("CREATE VIEW made_2 AS TABLE secret.keys", "catalogued")
    await looking.watch.before(SELECT)
    assert looking.catalogue.version == version
    looking.now += PROBE_SECONDS
    assert not looking.watch.ready(SELECT)
    await looking.watch.before(SELECT)
    assert looking.watch.ready(SELECT)
    assert "public.made_2" in looking.catalogue.relations
    server.execute("DROP VIEW made_2", "catalogued")
    looking.now += PROBE_SECONDS
    await looking.watch.before(SELECT)
    assert looking.catalogue.version == version  # the same content is the same version


async def test_while_a_change_is_under_way_every_judgement_looks_again(
    looking: Looking, server: PostgresServer
) -> None:
    watch, upstream = await another(looking)
    ddl = verdict(looking.catalogue, "CREATE VIEW made_3 AS TABLE orders", READ, ALLOWED_DDL)
    assert ddl.answer is Answer.ALLOW
    watch.after(ddl, prepared=False)
    for _ in range(2):
        assert not looking.watch.ready(SELECT)
        await looking.watch.before(SELECT)
    server.execute("CREATE VIEW made_3 AS TABLE orders", "catalogued")
    await looking.watch.before(SELECT)
    assert "public.made_3" in looking.catalogue.relations
    watch.settled()
    assert not looking.watch.ready(SELECT)  # once more: what it committed
    await looking.watch.before(SELECT)
    assert looking.watch.ready(SELECT)
    await watch.close()
    await upstream.close()
    server.execute("DROP VIEW made_3", "catalogued")


async def test_what_was_prepared_may_run_again_and_is_looked_after(looking: Looking) -> None:
    ddl = verdict(looking.catalogue, "CREATE TABLE made_4 (a int)", ALLOWED_DDL)
    looking.watch.after(ddl, prepared=True)
    looking.watch.settled()
    await looking.watch.before(SELECT)
    assert looking.watch.ready(SELECT)
    looking.now += LINGER_SECONDS
    assert not looking.watch.ready(SELECT)


@pytest.mark.parametrize(
    ("text", "rules", "may"),
    [
        ("SELECT * FROM orders", (READ,), False),
        ("UPDATE orders SET note = '' WHERE id = 1", (WRITE,), False),
        ("BEGIN", (READ,), False),
        ("CREATE TABLE a (b int)", (ALLOWED_DDL,), True),
        ("CREATE TABLE a (b int)", (READ,), False),
        ("SELECT opaque(1)", (READ, Rule("f", ("*",), ("*",), Block(functions=("opaque",)))), True),
        (
            "COMMIT PREPARED 'x'",
            (Rule("t", ("*",), ("*",), Block(actions=("transaction",))),),
            True,
        ),
    ],
)
async def test_which_statements_may_change_what_names_mean(
    looking: Looking, text: str, rules: tuple[Rule, ...], may: bool
) -> None:
    assert may_change(verdict(looking.catalogue, text, *rules)) is may


async def test_a_lock_held_elsewhere_does_not_hold_up_a_session(
    looking: Looking, server: PostgresServer
) -> None:
    """Definitions of views need a lock; without it, what is behind them is not guessed."""
    with psycopg.connect(server.superuser("catalogued")) as holder:
        holder.execute("CREATE TABLE made_5 (a int)")
        holder.commit()
        holder.execute("LOCK TABLE secret.keys IN ACCESS EXCLUSIVE MODE")
        looking.now += PROBE_SECONDS
        await looking.watch.before(SELECT)
        found = verdict(looking.catalogue, "TABLE keys_view", READ)
        assert found.answer is Answer.DENY
        assert "could not be read" in found.reason
        assert verdict(looking.catalogue, "TABLE orders", READ).answer is Answer.ALLOW
    looking.now += PROBE_SECONDS
    await looking.watch.before(SELECT)
    assert "secret.keys" in verdict(looking.catalogue, "TABLE keys_view", READ).reason
    server.execute("DROP TABLE made_5", "catalogued")


async def test_a_lost_connection_of_ours_is_made_anew(
    looking: Looking, server: PostgresServer
) -> None:
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'look'"
    looking.now += PROBE_SECONDS
    await looking.watch.before(SELECT)
    assert server.execute(ours, "catalogued") == [(True,)]
    looking.now += PROBE_SECONDS
    await looking.watch.before(SELECT)
    assert looking.watch.ready(SELECT)


async def test_an_operator_of_somebodys_own_does_not_answer_for_the_catalogue(
    looking: Looking, server: PostgresServer
) -> None:
    server.execute(
        "CREATE FUNCTION public.never(oid, integer) RETURNS bool LANGUAGE sql AS 'SELECT false';"
        "CREATE OPERATOR public.>= (LEFTARG = oid, RIGHTARG = integer, FUNCTION = public.never)",
        "catalogued",
    )
    looking.now += PROBE_SECONDS
    await looking.watch.before(SELECT)
    assert "public.keys_view" in looking.catalogue.relations
    server.execute("DROP FUNCTION public.never CASCADE", "catalogued")
