"""The configuration in force: swapped whole, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.config.model import Config

FIXED = ("host", "port", "state", "store")  # what a running broker cannot change


class InForce:
    """Call it for the configuration as it is now; hold no part of it for long."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __call__(self) -> Config:
        """The configuration at this moment."""
        return self._config

    def swap(self, new: Config) -> list[str]:
        """Put another one in force; gives the keys that differ but need a restart."""
        old, self._config = self._config, new
        return [key for key in FIXED if getattr(old, key) != getattr(new, key)]
