"""Bounds on approved writes and dry runs, through a whole broker with stock clients."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.fixtures.oidc import provider
from tests.fixtures.postgres import APP_PASSWORD
from tests.fixtures.served import Person, Served, issuers, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.peer

CONFIG = """\
listen: 127.0.0.1:0
state: state
drain: 2s
{issuers}
targets:
  orders:
    kind: postgres
    dsn: postgresql://app@127.0.0.1:{port}/{dbname}?sslmode=disable
    password: {{env: ORDERS_PASSWORD}}
rules:
  - name: reads
    who: [group:engineers]
    targets: [orders]
    allow: {{actions: [select], tables: ["public.*"]}}
  - name: writes
    who: [group:engineers]
    targets: [orders]
    review:
      actions: [insert, update, delete]
      approvers: [group:dba]
      max_affected: estimate
"""
FOUR = "UPDATE orders SET note = 'x' WHERE id <= 4"
MANY = "UPDATE orders SET note = 'x' WHERE id + 0 > 0"  # the planner guesses a third of them


@dataclass(frozen=True)
class Shop:
    """A broker, who works there, and the database behind it."""

    broker: Served
    engineer: Person
    dba: Person
    postgres: PostgresServer
    dbname: str

    def changed(self) -> object:
        """How many rows were changed, by the server itself."""
        return self.postgres.execute("SELECT count(*) FROM orders WHERE note = 'x'", self.dbname)[
            0
        ][0]

    def asked(self, statement: str) -> tuple[Any, dict[str, Any]]:
        """Somebody who asks, and the card of it."""
        asking = self.engineer.begin("orders", statement)
        return asking, self.dba.waiting(statement)

    def tried(self, review: str) -> list[str]:
        """What the audit log says of dry runs of it."""
        events = self.broker.events()
        return [e["found"] for e in events if e["type"] == "review.tried" and e["review"] == review]


@pytest.fixture
def shop(postgres: PostgresServer, orders: str, tmp_path: Path) -> Iterator[Shop]:
    """A company with a bound in its rules."""
    postgres.execute("ANALYZE orders", orders)
    with ExitStack() as stack:
        corp = stack.enter_context(provider("RS256"))
        ci = stack.enter_context(provider("ES256"))
        config = CONFIG.format(issuers=issuers(corp, ci), port=postgres.port, dbname=orders)
        broker = stack.enter_context(serving(tmp_path, config, ORDERS_PASSWORD=APP_PASSWORD))
        engineer, dba = (
            broker.person(name, corp.token(email=f"{name}@acme.example", groups=[group]))
            for name, group in (("ann", "engineers"), ("bob", "dba"))
        )
        yield Shop(broker, engineer, dba, postgres, orders)


def test_a_bound_a_dry_run_and_an_approval(shop: Shop) -> None:
    asking, card = shop.asked(FOUR)
    rows, most = card["impact"]["rows"], card["impact"]["max_affected"]
    assert 2 <= rows <= 6
    assert most == -(-rows * 11 // 10) + 10
    assert card["impact"]["sizes"][0].startswith("public.orders: about 100 rows")
    own = shop.engineer.ssh("broker", "dry-run", card["id"])
    assert own.returncode == 77
    assert shop.tried(card["id"]) == []
    told = shop.dba.ssh("broker", "dry-run", card["id"])
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("exactly 4 in a dry run by bob@acme.example")
    assert shop.changed() == 0
    assert shop.tried(card["id"]) == ["asked", "4 rows"]
    (shown,) = shop.dba.json("show", card["id"])
    assert shown["dry_run"]["rows"] == 4
    text = shop.dba.ssh("broker", "show", card["id"]).stdout
    assert f"about {rows} by the planner; undone beyond {most}" in text
    assert shop.dba.ssh("broker", "approve", card["id"]).returncode == 0
    out, err = asking.communicate(timeout=30)
    assert (out.strip(), asking.returncode) == ("UPDATE 4", 0), err
    assert shop.changed() == 4
    late = shop.dba.ssh("broker", "dry-run", card["id"])
    assert late.returncode == 64
    assert "does not wait any longer" in late.stderr


def test_more_than_was_approved_is_undone(shop: Shop) -> None:
    asking, card = shop.asked(MANY)
    most = card["impact"]["max_affected"]
    assert most < 100
    assert shop.dba.ssh("broker", "approve", card["id"]).returncode == 0
    _, err = asking.communicate(timeout=30)
    assert asking.returncode == 77
    said = f"interlock: undone: it changed 100 rows, and at most {most} were approved (writes)"
    assert err.splitlines()[-1] == said
    assert err.count("undone") == 1
    judged = [e for e in shop.broker.events() if e["type"] == "statement.judged"]
    assert [(e["answer"], e["review"]) for e in judged] == [
        ("allow", card["id"]),
        ("deny", card["id"]),
    ]
    assert shop.changed() == 0


def test_a_broker_that_is_killed_commits_nothing(shop: Shop) -> None:
    with psycopg.connect(shop.postgres.superuser(shop.dbname)) as holder:
        asking, card = shop.asked(FOUR)
        holder.execute("LOCK TABLE orders IN EXCLUSIVE MODE")
        assert shop.dba.ssh("broker", "approve", card["id"]).returncode == 0
        waiting = (
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{shop.dbname}'"
            " AND usename = 'app'"
        )
        until(lambda: shop.postgres.execute(f"{waiting} AND wait_event_type = 'Lock'") == [(1,)])
        shop.broker.process.send_signal(signal.SIGKILL)
        shop.broker.process.wait()
        asking.communicate(timeout=30)
        holder.rollback()
    until(lambda: shop.postgres.execute(waiting) == [(0,)])
    assert shop.changed() == 0
