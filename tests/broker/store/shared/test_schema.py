"""The shared schema: made once by whoever comes first, whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from broker.errors import EvidenceFailure
from broker.store.shared.link import Bounded, Link, connect
from broker.store.shared.schema import migrate


def tables(dsn: str) -> set[str]:
    with connect(dsn) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {row["relname"] for row in rows}


def test_nodes_that_start_together_make_it_once(shared_dsn: str) -> None:
    def start(_: int) -> None:
        with connect(shared_dsn) as connection:
            migrate(connection)
            assert connection.patience == Bounded.patience

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, range(4)))
    assert tables(shared_dsn) >= {"sessions", "reviews", "approvals", "locks", "nodes"}
    with connect(shared_dsn) as connection:
        rows = connection.execute("SELECT version FROM interlock_schema").fetchall()
        assert rows == [{"version": 1}]


def test_a_store_of_a_newer_version_is_refused(shared_dsn: str) -> None:
    with connect(shared_dsn) as connection:
        migrate(connection)
        connection.execute("UPDATE interlock_schema SET version = 99")
    with pytest.raises(EvidenceFailure, match="newer version"):
        Link(shared_dsn).open(migrate)


def test_half_a_migration_is_none(shared_dsn: str) -> None:
    with connect(shared_dsn) as connection:
        connection.execute("CREATE TABLE knocks (x int)")  # in the way of the last table
        with pytest.raises(psycopg.errors.DuplicateTable):
            migrate(connection)
    with pytest.raises(EvidenceFailure, match="the store cannot be used: relation"):
        Link(shared_dsn).open(migrate)
    assert tables(shared_dsn) == {"knocks"}


def test_a_role_that_may_not_create_can_use_what_is_there(shared_dsn: str) -> None:
    with connect(shared_dsn) as connection:
        migrate(connection)
        connection.execute("CREATE ROLE node_of_a_test LOGIN PASSWORD 'x'")
        try:
            connection.execute(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
                " TO node_of_a_test"
            )
            with connect(shared_dsn.replace("postgres:postgres@", "node_of_a_test:x@")) as node:
                migrate(node)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    node.execute("CREATE TABLE t (a int)")
                node.execute("INSERT INTO serials VALUES (1, 'now')")
        finally:
            connection.execute("DROP OWNED BY node_of_a_test; DROP ROLE node_of_a_test")
