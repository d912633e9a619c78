"""Opens the store that the configuration names: one file of this node, or one for several nodes."""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.errors import EvidenceFailure
from broker.store.alone import Alone
from broker.store.locks import LockTable
from broker.store.shared.link import Link
from broker.store.shared.listener import listen
from broker.store.shared.locks import SharedLocks
from broker.store.shared.nodes import SharedNodes
from broker.store.shared.reviews import SharedReviews
from broker.store.shared.schema import migrate
from broker.store.shared.sessions import SharedSessions
from broker.store.shared.tokens import SharedTokens
from broker.store.sqlite import FILE
from broker.store.sqlite import Store as FileStore
from broker.store.used_tokens import UsedInStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from broker.identity.login import UsedTokens
    from broker.store.contract import Locks, Nodes, Store

    Watch = Callable[[Callable[[], None]], Coroutine[object, object, None]]

NODE = "node"  # the file in the state folder that tells two nodes of one host name apart


class SharedStore(SharedSessions, SharedReviews):
    """Implements `contract.Store` for every node on one database."""


@dataclass(frozen=True, slots=True)
class Stores:
    """An open store.

    `watch` runs beside the broker, mends what breaks, and calls what it is given whenever another
    node may have changed something. `own` is the node whose sessions a restart interrupts; None
    when all of them are this node's.
    """

    store: Store
    locks: Locks
    used: UsedTokens
    nodes: Nodes
    watch: Watch
    own: str | None


@contextmanager
def opened(address: str, state: Path) -> Iterator[Stores]:
    """The store inside the block. Raises EvidenceFailure, or StoreAway."""
    with ExitStack() as stack:
        yield _file(state, stack) if address == "sqlite" else _shared(address, state, stack)


def _file(state: Path, stack: ExitStack) -> Stores:
    store = FileStore.open(state / FILE)
    stack.callback(store.close)
    locks = LockTable.open(state / FILE)
    stack.callback(locks.close)
    used = UsedInStore.open(state / FILE)
    stack.callback(used.close)
    return Stores(store, locks, used, Alone(socket.gethostname()), _nothing, None)


async def _nothing(_heard: Callable[[], None]) -> None:
    """A file is not away, and nobody else changes it unheard for longer than the poll."""


def _shared(dsn: str, state: Path, stack: ExitStack) -> Stores:
    name = node_name(state)
    link = Link(dsn)
    link.open(migrate)
    stack.callback(link.close)
    store, nodes = SharedStore(link), SharedNodes(link, name)

    async def watch(heard: Callable[[], None]) -> None:
        def back() -> None:
            with suppress(EvidenceFailure):  # lost again: the next time
                store.catch_up()
            heard()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.mend(back))
            tasks.create_task(listen(dsn, heard))

    return Stores(store, SharedLocks(link), SharedTokens(link), nodes, watch, name)


def node_name(state: Path) -> str:
    """The host's name and, kept in the state folder, what tells it from another node there."""
    file = state / NODE
    try:
        if not file.exists():
            file.write_text(secrets.token_hex(3) + "\n", "ascii")
        return f"{socket.gethostname()}-{file.read_text('ascii').strip()[:12]}"
    except (OSError, ValueError) as error:
        msg = f"the node has no name: {error}"
        raise EvidenceFailure(msg) from error
