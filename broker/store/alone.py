"""The only node on its store: nobody else lives, dies or counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from broker.store.records import SessionRecord


@dataclass(frozen=True, slots=True)
class Alone:
    """Implements `contract.Nodes` for one node."""

    name: str

    def renew(self, running: Collection[str], connections: Mapping[str, int]) -> None:
        """There is nobody to tell."""

    def bury(self, ended: datetime, first: Callable[[str, list[SessionRecord]], None]) -> None:
        """There is nobody to die."""

    def leave(self) -> None:
        """There is nobody to leave."""

    def sessions_elsewhere(self, identity: str) -> tuple[int, int]:
        """There is no elsewhere."""
        return 0, 0

    def connections_elsewhere(self, identity: str) -> tuple[int, int]:
        """There is no elsewhere."""
        return 0, 0

    def knock(self, source: str, per_minute: int) -> bool:
        """What this process counted is all."""
        return True
