"""The catalogue of each target, as the judge uses it: loaded once, shared, and kept fresh.

A cheap probe tells whether anything changed: a session begins with one, on its own connection, and
while sessions run another is made every few seconds on a connection of the broker's. While a
statement that may change the catalogue is under way through us, until its transaction is over,
each judgement on that target begins with a probe. What others commit behind our back counts after
PROBE_SECONDS at the latest.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable
from broker.model import Answer
from broker.policy.judge import is_read
from broker.postgres import catalogue_queries as queries
from broker.postgres.catalogue_rows import made_of
from broker.postgres.reader import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from broker.model import Statement, Verdict
    from broker.policy.sql.catalogue import Catalogue
    from broker.postgres.upstream import Upstream
    from broker.targets import PostgresTarget

    Connect = Callable[[PostgresTarget], Awaitable[Upstream]]

PROBE_SECONDS = 5.0
LINGER_SECONDS = 1.0  # when a session may run again what it prepared

QUIET = frozenset(
    {"select", "insert", "update", "delete", "merge", "copy_from", "copy_to", "explain", "show"}
    | {"set", "transaction", "listen", "notify", "cursor", "lock", "truncate", "comment"}
    | {"vacuum", "analyze", "grant", "revoke", "security", "refresh"}
)
"""What does not change what a name means."""


def may_change(verdict: Verdict) -> bool:
    """May a statement with this verdict, once it runs, change what names mean?"""
    return verdict.answer is not Answer.DENY and any(
        part.action not in QUIET
        or (part.function is not None and not part.implied)
        or (part.action == "transaction" and part.object is not None)
        for part in verdict.facts.parts
    )


@dataclass
class _Kept:
    """What is known of one target."""

    target: PostgresTarget
    probe: str = ""
    catalogue: Catalogue | None = None
    checked: float = 0.0
    watches: set[Watch] = field(default_factory=set)
    upstream: Upstream | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def due(self, now: float) -> bool:
        """Is it time to look again?"""
        wait = PROBE_SECONDS
        for watch in self.watches:
            if watch.open:
                return True
            if watch.lingering:
                wait = LINGER_SECONDS
        return self.catalogue is None or now - self.checked >= wait


class Lookups:
    """One catalogue a target. `connect` makes a connection of the broker's own to look with."""

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self.reader = Reader()
        self._connect = connect
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def of(self, name: str) -> Catalogue | None:
        """The catalogue of the target of this name; None when no session was there yet."""
        kept = self._kept.get(name)
        return kept.catalogue if kept is not None else None

    @asynccontextmanager
    async def watching(self, target: PostgresTarget, upstream: Upstream) -> AsyncIterator[Watch]:
        """A session's watch while it lasts; its own connection tells whether anything changed."""
        watch = await self.begin(target, upstream)
        try:
            yield watch
        finally:
            await watch.close()

    async def begin(self, target: PostgresTarget, upstream: Upstream) -> Watch:
        """A session begins."""
        kept = self._kept.get(target.name)
        if kept is None or kept.target != target:
            kept = self._kept[target.name] = _Kept(target)
        watch = Watch(self, kept)
        kept.watches.add(watch)
        try:
            if kept.catalogue is None or await _probed(upstream) != kept.probe:
                async with kept.lock:
                    await self._look(kept)
        except BaseException:
            await watch.close()
            raise
        return watch

    def due(self, kept: _Kept) -> bool:
        """Is it time to look again?"""
        return kept.due(self._clock())

    async def fresh(self, kept: _Kept) -> None:
        """Look again when it is time to; the judgement that follows may use what was found."""
        if not kept.due(self._clock()):
            return
        async with kept.lock:
            if kept.due(self._clock()):
                await self._look(kept)

    async def _look(self, kept: _Kept) -> None:
        """Probe, and load what changed.

        When it fails, once more on a new connection and without the definitions: somebody may
        hold a lock that they need. What is not known is explicit, and asked for again.
        """
        for attempt in (1, 2):
            asked = self._clock()
            try:
                if kept.upstream is None:
                    kept.upstream = await self._connect(kept.target)
                await _load(kept, kept.upstream, texts=attempt == 1)
            except BaseException as error:
                _drop(kept)
                if attempt == 2 or not isinstance(error, (TargetUnreachable, OSError)):
                    raise
            else:
                kept.checked = asked
                return

    async def end(self, watch: Watch, kept: _Kept) -> None:
        """A session is over; with the last one the connection goes."""
        kept.watches.discard(watch)
        if watch.open or watch.lingering:
            kept.checked = 0.0  # what it began may still commit
        if not kept.watches and kept.upstream is not None:
            upstream, kept.upstream = kept.upstream, None
            await upstream.close()


class Watch:
    """One session's eye on the catalogue of its target.

    `open`: a statement that may change it is under way. `lingering`: one was prepared, and may be
    run again without being judged again.
    """

    def __init__(self, lookups: Lookups, kept: _Kept) -> None:
        self.open = False
        self.lingering = False
        self._lookups = lookups
        self._kept = kept

    def ready(self, statement: Statement) -> bool:
        """Is there nothing to wait for before this is judged?"""
        return is_read(statement.text) and not self._lookups.due(self._kept)

    async def before(self, statement: Statement) -> None:
        """Wait until what is known is fresh enough to judge by, and the judgement quick."""
        if not self.ready(statement):
            await self._lookups.reader.prepare(statement.text)
            await self._lookups.fresh(self._kept)

    def after(self, verdict: Verdict, *, prepared: bool) -> None:
        """A statement is let through, or may be after a review."""
        if may_change(verdict):
            self.open = True
            self.lingering = self.lingering or prepared

    def settled(self) -> None:
        """Nothing is under way any more, and no transaction open."""
        if self.open:
            self.open = False
            self._kept.checked = 0.0  # what it committed is to be seen by all

    async def close(self) -> None:
        """The session is over."""
        await self._lookups.end(self, self._kept)


async def _probed(upstream: Upstream) -> str:
    rows = await upstream.query(queries.PROBE)
    return "/".join((cell or b"").decode() for row in rows for cell in row)


async def _load(kept: _Kept, upstream: Upstream, *, texts: bool) -> None:
    probe = await _probed(upstream)
    if kept.catalogue is not None and probe == kept.probe:
        return
    version = _version(upstream.parameters.get("server_version", ""))
    kept.catalogue = made_of(await upstream.query(queries.load(version, texts=texts)))
    kept.probe = probe if texts else ""


def _version(told: str) -> int:
    """``16.4 (Debian ...)`` as 160000; unknown is new."""
    digits = told.split(".")[0].split(" ")[0]
    return int(digits) * 10_000 if digits.isdecimal() else queries.NEW_BODIES


def _drop(kept: _Kept) -> None:
    if kept.upstream is not None:
        kept.upstream.abort()
        kept.upstream = None
