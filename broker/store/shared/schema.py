"""The tables of the shared store, brought up to date by whichever node comes first."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure

if TYPE_CHECKING:
    from broker.store.shared.link import Bounded

GUARD = 0x696E7465726C6F63  # "interloc": one node at a time changes the schema
VERSION = "SELECT version FROM interlock_schema"
BEGIN = (
    "CREATE TABLE IF NOT EXISTS interlock_schema"
    " (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL)"
)


def migrate(connection: Bounded) -> None:
    """Apply the steps that are missing: all of them, or none. psycopg's errors, or ours."""
    folder = files("broker.store.shared") / "schema"
    steps = sorted(step.name for step in folder.iterdir() if step.name.endswith(".sql"))
    if _version(connection) == len(steps):
        return  # a role that may not create anything is enough from now on
    connection.patience = None  # another node may be at it, and a large table takes its time
    try:
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (GUARD,))
            connection.execute("SET LOCAL client_min_messages = warning")
            connection.execute(BEGIN)
            version = _version(connection)
            if version > len(steps):
                msg = "the store was written by a newer version of interlock"
                raise EvidenceFailure(msg)
            for name in steps[version:]:
                connection.execute((folder / name).read_bytes())
            connection.execute(
                "INSERT INTO interlock_schema (version) VALUES (%s)"
                " ON CONFLICT (one) DO UPDATE SET version = excluded.version",
                (len(steps),),
            )
    finally:
        connection.patience = type(connection).patience


def _version(connection: Bounded) -> int:
    there = connection.execute("SELECT to_regclass('interlock_schema') AS found").fetchone()
    if there is None or there["found"] is None:
        return 0
    row = connection.execute(VERSION).fetchone()
    return 0 if row is None else int(row["version"])
