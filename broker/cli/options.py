"""Options that several commands share, and the configuration that they lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config.load import find, load, state_of

if TYPE_CHECKING:
    import argparse

    from broker.config.model import Config


def add_config(command: argparse.ArgumentParser, *, listen: bool = False) -> None:
    """The options that name the configuration."""
    command.add_argument(
        "--config",
        metavar="FILE",
        help="default: $INTERLOCK_CONFIG, ./interlock.yaml, /etc/interlock/interlock.yaml",
    )
    command.add_argument("--state", metavar="DIR", type=Path, help="instead of the file's `state`")
    if listen:
        command.add_argument("--listen", metavar="HOST:PORT", help="instead of the file's `listen`")


def config(words: argparse.Namespace, *, secrets: bool = True) -> Config:
    """The configuration that the options name. Raises ConfigError with every problem.

    Without `secrets` they need not be reachable from here: for those who only ask the rules.
    """
    return load(
        find(words.config, os.environ),
        listen=getattr(words, "listen", None),
        state=words.state,
        environ=os.environ if secrets else None,
    )


def state(words: argparse.Namespace) -> Path:
    """The state folder: given by itself, or by the configuration, which may have other faults."""
    given: Path | None = words.state
    return given if given is not None else state_of(find(words.config, os.environ))
