"""`interlock serve`: the broker in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from broker.app import running
from broker.cli import options
from broker.cli.logs import set_up
from broker.config.load import warnings

if TYPE_CHECKING:
    import argparse

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
    for warning in warnings(config):
        log.warning("%s", warning)
    asyncio.run(_serve(config))
    return 0


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config, environ=os.environ) as (host, port):
        shown = f"[{host}]" if ":" in host else host
        print(f"interlock: listening on {shown}:{port}", file=sys.stderr, flush=True)
        await stop.wait()
        print("interlock: stopping; running sessions are told", file=sys.stderr, flush=True)
