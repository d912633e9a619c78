"""The connection to the shared store: quick or not at all, mended in the background.

Calls are made from the event loop's thread, so each is bounded: by the server (statement and lock
timeouts), by the kernel (a peer that does not acknowledge), and by our own patience. The first
call that fails breaks the link; from then on calls fail at once, until a thread has connected
again. After a call that took long and failed the store is left alone for a while, so that one
which is merely slow does not hold the loop with every poll. So the loop is held for `PATIENCE_S` at
most, and no more often than once in `REST_S`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from broker.errors import EvidenceFailure, StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from psycopg.abc import PQGen

log = logging.getLogger("interlock.store")

RV = TypeVar("RV")
Values: TypeAlias = "Mapping[str, object] | Sequence[object]"
Row: TypeAlias = dict[str, Any]

PATIENCE_S = 3.0
HELD_S = 1.0  # a failure that took longer than this is slowness
REST_S = 5.0
CONNECT_S = 5
RETRY_S = 0.5
AWAY = "the store cannot be reached now; try again soon"
SLOW = "the store is too slow now; try again soon"
SETTINGS = """
SELECT set_config('statement_timeout', '2000', false), set_config('lock_timeout', '1500', false),
       set_config('idle_in_transaction_session_timeout', '10000', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
           WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
DEFAULTS = {
    "connect_timeout": str(CONNECT_S),
    "tcp_user_timeout": "3000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "application_name": "interlock",
    "client_encoding": "utf8",
    "target_session_attrs": "read-write",
}
SLOWNESS = (
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)
USABLE = (TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR)


class Bounded(psycopg.Connection[DictRow]):
    """A connection that waits for each answer as long as its `patience`."""

    patience: float | None = PATIENCE_S

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """The one place where psycopg waits."""
        return super().wait(gen, interval, self.patience if timeout is None else timeout)


def conninfo(dsn: str) -> str:
    """A dsn with what it leaves open as we need it."""
    given = conninfo_to_dict(dsn)
    return make_conninfo(dsn, **{key: DEFAULTS[key] for key in DEFAULTS if key not in given})


def connect(dsn: str) -> Bounded:
    """Connect; psycopg's own errors, which may name the server."""
    connection = Bounded.connect(
        conninfo(dsn), autocommit=True, row_factory=dict_row, prepare_threshold=None
    )
    try:
        connection.execute(SETTINGS)
    except BaseException:
        connection.close()
        raise
    return connection


class Link:
    """Runs statements over one connection. Raises StoreAway, or EvidenceFailure for the rest."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Bounded | None = None
        self._closed = False
        self._lost = asyncio.Event()
        self._rest_until = 0.0

    def open(self, prepare: Callable[[Bounded], None]) -> None:
        """Connect for the first time, and `prepare` what is there."""
        try:
            self._connection = connect(self._dsn)
            prepare(self._connection)
        except psycopg.Error as error:
            self.close()
            told = said(error, self._dsn)  # and no cause: it could quote the dsn
            if isinstance(error, psycopg.OperationalError):
                raise StoreAway(f"the store cannot be reached: {told}") from None
            raise EvidenceFailure(f"the store cannot be used: {told}") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection, for good."""
        self._closed = True
        self._disconnect()

    def run(self, query: str, values: Values = ()) -> list[Row]:
        """One statement, by itself; gives its rows."""
        began = time.monotonic()
        if self._connection is None:
            raise StoreAway(AWAY)
        if began < self._rest_until:
            raise StoreAway(SLOW)
        try:
            cursor = self._connection.execute(query.encode(), _clean(values))
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            now = time.monotonic()
            if now - began > HELD_S and not isinstance(error, errors.LockNotAvailable):
                self._rest_until = now + REST_S
            raise self._failure(error) from None

    @contextmanager
    def change(self) -> Iterator[None]:
        """Everything that runs inside the block is kept, or nothing of it."""
        self.run("BEGIN")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    async def mend(self, back: Callable[[], None]) -> None:
        """For ever: connect again whenever the connection was lost, and say so."""
        while True:
            await self._lost.wait()
            await asyncio.sleep(max(0.0, self._rest_until - time.monotonic()))
            try:
                await asyncio.to_thread(self._reconnect)
            except (psycopg.Error, OSError) as error:
                log.debug("still no store: %s", said(error, self._dsn))
                await asyncio.sleep(RETRY_S)
                continue
            if self._connection is None:  # lost again before we came to it
                continue
            self._lost.clear()
            log.warning("the store answers again")
            back()

    def _roll_back(self) -> None:
        """Also while the store rests: a connection must not stay within a change."""
        if self._connection is None:
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error as error:
            self._failure(error)

    def _reconnect(self) -> None:
        self._connection = connect(self._dsn)
        if self._closed:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _failure(self, error: psycopg.Error) -> EvidenceFailure:
        connection = self._connection
        usable = connection is not None and connection.info.transaction_status in USABLE
        if usable and not isinstance(error, errors.ReadOnlySqlTransaction):
            if isinstance(error, SLOWNESS):
                log.warning("the store was too slow: %s", said(error, self._dsn))
                return StoreAway(SLOW)
            return EvidenceFailure(f"the store cannot be used: {said(error, self._dsn)}")
        if connection is not None:
            log.error("the store is lost: %s", said(error, self._dsn))
            self._disconnect()
        self._lost.set()
        return StoreAway(AWAY)


def said(error: BaseException, dsn: str) -> str:
    """What an error says in one line, without values and without the password."""
    text = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or str(error)
    line = " ".join(text.split()) or type(error).__name__
    for password in (conninfo_to_dict(dsn).get("password"), os.environ.get("PGPASSWORD")):
        if password:
            line = line.replace(str(password), "***")
    return line[:300]


def _clean(values: Values) -> Values:
    """Text without NUL, which PostgreSQL cannot keep."""
    if isinstance(values, dict):
        return {key: _without_nul(value) for key, value in values.items()}
    return [_without_nul(value) for value in values]


def _without_nul(value: object) -> object:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
