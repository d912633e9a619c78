"""A connection that is begun before it is needed, while something else starts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from broker.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from broker.postgres.upstream import Upstream


class Connected(Protocol):
    """Connects, with more settings for the start-up packet if there are any."""

    def __call__(self, more: Mapping[str, str] = ..., /) -> Awaitable[Upstream]:
        """A logged-in connection, or TargetUnreachable."""


@asynccontextmanager
async def begun(connected: Connected) -> AsyncIterator[Callable[[], Awaitable[Upstream]]]:
    """Connect now; inside the block the first call takes that connection, later ones make more.

    What went wrong is raised by the call. A connection that nobody took is closed.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        first: asyncio.Task[Upstream | InterlockError] | None
        first = tasks.create_task(_outcome(connected))

        async def take() -> Upstream:
            nonlocal first
            if first is None:
                return await connected()
            mine, first = first, None
            found = await mine
            if isinstance(found, InterlockError):
                raise found
            return found

        try:
            yield take
        except Exception as error:  # noqa: BLE001 - raised again below, out of the group
            failure = error
        finally:
            if first is not None:
                await _abandon(first)
    if failure is not None:
        raise failure


async def _outcome(connected: Connected) -> Upstream | InterlockError:
    try:
        return await connected()
    except InterlockError as error:
        return error


async def _abandon(task: asyncio.Task[Upstream | InterlockError]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and not isinstance(found := task.result(), InterlockError):
        found.abort()
