"""Options that several commands share, and the configuration that they lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from broker.config.load import find, load

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


def config(words: argparse.Namespace) -> Config:
    """The configuration that the options name. Raises ConfigError with every problem."""
    return load(
        find(words.config, os.environ),
        listen=getattr(words, "listen", None),
        state=words.state,
        environ=os.environ,
    )


def state(words: argparse.Namespace) -> Path:
    """The state folder: given by itself, or by the configuration."""
    given: Path | None = words.state
    return given if given is not None else config(words).state
