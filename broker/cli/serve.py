"""`interlock serve`: the broker in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from broker.cli import options
from broker.cli.logs import set_up
from broker.config.load import warnings
from broker.errors import ConfigError, InterlockError

if TYPE_CHECKING:
    import argparse

    from broker.app import Running
    from broker.config.model import Config

log = logging.getLogger("interlock")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = commands.add_parser("serve", help="run the broker in the foreground")
    options.add_config(command, listen=True)
    command.set_defaults(run=run)


def run(words: argparse.Namespace) -> int:
    """Serve until told to stop."""
    config = options.config(words)
    set_up(config.log)
    _warn(config)
    try:
        asyncio.run(_serve(config, words))
    except ExceptionGroup as group:  # what failed beneath a task group is one thing to say
        raise _first(group) from group
    return 0


def _first(group: ExceptionGroup) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _serve(config: Config, words: argparse.Namespace) -> None:
    from broker.app import running  # a second of imports that other commands do not pay

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config, environ=os.environ) as broker:
        loop.add_signal_handler(signal.SIGHUP, _reload, broker, words)
        shown = f"[{broker.host}]" if ":" in broker.host else broker.host
        print(f"interlock: listening on {shown}:{broker.port}", file=sys.stderr, flush=True)
        await stop.wait()
        print("interlock: stopping; running sessions are told", file=sys.stderr, flush=True)


def _reload(broker: Running, words: argparse.Namespace) -> None:
    """SIGHUP: read the file again; a bad one changes nothing."""
    try:
        config = options.config(words)
        broker.reload(config)
    except ConfigError as error:
        log.error("%s", error)
        log.error("the configuration in force is unchanged")
    except InterlockError as error:
        log.error("not reloaded: %s", error)
    else:
        _warn(config)


def _warn(config: Config) -> None:
    for warning in warnings(config):
        log.warning("%s", warning)
