"""A role of the target's own for each session: made at its start, ended and dropped after it.

The server itself says which roles are in use. A broker holds an advisory lock there with a number
of its own while it has such sessions, and the number is part of the names; whatever has ended the
broker has ended that lock. So any broker may drop the roles of a dead one, and no live one's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from broker import events
from broker.errors import TargetUnreachable
from broker.postgres import scram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from datetime import datetime

    from broker.model import Session
    from broker.ports import Audit
    from broker.postgres.upstream import Upstream
    from broker.targets import PostgresTarget, SessionRole

    Connect = Callable[[PostgresTarget], Awaitable[Upstream]]

log = logging.getLogger("interlock.roles")

LOCK_CLASS = 0x494C434B  # "ILCK": the first half of every advisory lock of ours
NAME = re.compile(r"interlock_[0-9a-f]{8}_[0-9a-z]{1,40}")
END_SECONDS = 10.0
POLL_SECONDS = 0.02
# A broker that vanished without a word is noticed by its server in a minute and a half.
KEEPALIVE = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

_DEAD = f"""
SELECT r.rolname, pg_catalog.array_to_string(ARRAY(
    SELECT g.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g
    ON g.oid OPERATOR(pg_catalog.=) m.roleid
    WHERE m.member OPERATOR(pg_catalog.=) r.oid ORDER BY m.roleid), E'\\n')
FROM pg_catalog.pg_roles r
JOIN pg_catalog.pg_db_role_setting s ON s.setrole OPERATOR(pg_catalog.=) r.oid
JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  AND r.rolname OPERATOR(pg_catalog.~) '^{NAME.pattern}$'
  AND pg_catalog.pg_has_role(r.oid, 'MEMBER')
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
    WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted
      AND l.classid OPERATOR(pg_catalog.=) {LOCK_CLASS}::pg_catalog.oid
      AND pg_catalog.lpad(pg_catalog.to_hex(l.objid::pg_catalog.int8), 8, '0')
        OPERATOR(pg_catalog.=) pg_catalog.substr(r.rolname, 11, 8)
      AND a.usename OPERATOR(pg_catalog.=) current_user)
"""  # noqa: S608 - constants of ours


class SessionRoles:
    """The roles of this broker's sessions, on every target that wants them."""

    def __init__(self, connect: Connect, audit: Audit) -> None:
        self._connect = connect
        self._audit = audit
        self._number = secrets.randbits(31)
        self._keepers: list[_Keeper] = []

    @asynccontextmanager
    async def role(
        self,
        session: Session,
        target: PostgresTarget,
        how: SessionRole,
        *,
        until: datetime,
        settings: Mapping[str, str],
    ) -> AsyncIterator[tuple[str, str]]:
        """Name and password of a role that is there inside the block."""
        name = f"interlock_{self._number:08x}_{session.id}"
        if NAME.fullmatch(name) is None:
            raise ValueError(name)
        password = secrets.token_urlsafe(32)
        proof = await asyncio.to_thread(scram.verifier, password, secrets.token_bytes(16))
        async with self._keeper(target) as keeper:
            self._audit.append(events.role_made(session, name, how.member_of))
            try:
                await keeper.run(creation(name, proof, until, how, target.dbname, settings))
                yield name, password
            finally:
                await self._drop(keeper, session, name, how)

    async def reap(self, target: PostgresTarget) -> list[str]:
        """Drop what dead brokers left in this database; the names."""
        if target.role is None:
            return []
        async with self._keeper(target) as keeper:
            return await self._reap(keeper, target)

    @asynccontextmanager
    async def _keeper(self, target: PostgresTarget) -> AsyncIterator[_Keeper]:
        """The connection by which roles are made; there is one while there are sessions."""
        keeper = next((each for each in self._keepers if each.target == target), None)
        if keeper is None:
            keeper = _Keeper(target, self._connect, self._number)
            self._keepers.append(keeper)
        keeper.users += 1
        try:
            if await keeper.open():
                await self._reap(keeper, target)
            yield keeper
        finally:
            keeper.users -= 1
            if keeper.users == 0:
                self._keepers.remove(keeper)
                await keeper.close()

    async def _reap(self, keeper: _Keeper, target: PostgresTarget) -> list[str]:
        dropped = []
        for name, groups in await keeper.dead():
            self._audit.append(events.role_reaped(target.name, name))
            heir = groups.split("\n")[0] if target.role is None or target.role.keep else ""
            if await _ended(keeper, name, heir):
                log.warning("%s: dropped %s, which a dead broker left", target.name, name)
                dropped.append(name)
        return dropped

    async def _drop(self, keeper: _Keeper, session: Session, name: str, how: SessionRole) -> None:
        """Also when the session is being cancelled; what fails is left to the reaper, and said."""
        done = await _ended(keeper, name, how.member_of[0] if how.keep else "")
        self._audit.append(events.role_ended(session, name, dropped=done))


async def _ended(keeper: _Keeper, name: str, heir: str) -> bool:
    try:
        async with asyncio.timeout(END_SECONDS):
            await keeper.end(name, heir)
    except (TargetUnreachable, TimeoutError, OSError) as error:
        log.error("%s: the role %s could not be dropped: %s", keeper.target.name, name, error)
        return False
    return True


class _Keeper:
    """One connection as the target's own user, one statement at a time."""

    def __init__(self, target: PostgresTarget, connect: Connect, number: int) -> None:
        self.target = target
        self.users = 0
        self._connect = connect
        self._number = number
        self._upstream: Upstream | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> bool:
        """Connect if there is no connection; was there none?"""
        async with self._turn:
            if self._upstream is not None:
                return False
            upstream = await self._connect(self.target)
            try:
                lock = f"SELECT pg_catalog.pg_advisory_lock_shared({LOCK_CLASS}, {self._number})"
                await upstream.query(lock)
            except BaseException:
                upstream.abort()
                raise
            self._upstream = upstream
            return True

    async def run(self, text: str) -> list[list[bytes | None]]:
        """One text of ours. A connection that broke is made anew for the next one."""
        await self.open()
        async with self._turn:
            upstream = self._upstream
            if upstream is None:
                msg = f"the connection to {self.target.name} was lost"
                raise TargetUnreachable(msg)
            try:
                return await upstream.query(text)
            finally:
                if not upstream.idle:  # in the middle of an answer, or gone
                    upstream.abort()
                    self._upstream = None

    async def dead(self) -> list[tuple[str, str]]:
        """Roles of brokers that are no more, with the roles that they are members of."""
        rows = await self.run(_DEAD)
        return [((name or b"").decode(), (groups or b"").decode()) for name, groups in rows]

    async def end(self, name: str, heir: str) -> None:
        """No new session, no old one, nothing owned, no role. An `heir` gets what it owned."""
        role, text = identifier(name), literal(name)
        if not await self.run(f"SELECT FROM pg_catalog.pg_roles WHERE rolname = {text}"):
            return
        await self.run(f"ALTER ROLE {role} NOLOGIN")
        ended = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
        stop = f"{ended} WHERE usename = {text}"
        while await self.run(stop):  # noqa: ASYNC110 - the server has no event for an end
            await asyncio.sleep(POLL_SECONDS)
        give = f"REASSIGN OWNED BY {role} TO {identifier(heir)}; " if heir else ""
        await self.run(f"{give}DROP OWNED BY {role}; DROP ROLE {role}")

    async def close(self) -> None:
        """The lock goes with the connection."""
        async with self._turn:
            upstream, self._upstream = self._upstream, None
        if upstream is not None:
            with contextlib.suppress(TargetUnreachable):
                await upstream.close()


def creation(
    name: str,
    proof: str,
    until: datetime,
    how: SessionRole,
    dbname: str,
    settings: Mapping[str, str],
) -> str:
    """One text, and so one transaction. What is in it may be in the server's log."""
    role = identifier(name)
    groups = ", ".join(identifier(group) for group in how.member_of)
    made = (
        f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT "
        f"CONNECTION LIMIT {how.limit} PASSWORD {literal(proof)} "
        f"VALID UNTIL {literal(until.isoformat())} IN ROLE {groups} ROLE CURRENT_USER"
    )
    where = f"ALTER ROLE {role} IN DATABASE {identifier(dbname)} SET"
    pinned = [f"{where} {setting} TO {literal(value)}" for setting, value in settings.items()]
    return "; ".join([made, *pinned])


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A constant, under standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"
