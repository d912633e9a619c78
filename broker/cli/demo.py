"""`interlock demo`: the whole thing with sample data, and `--tour` that plays and checks it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from broker.cli.logs import set_up
from broker.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from broker.demo.world import World

TRY = """
Interlock is up on 127.0.0.1:{port}. Everything is in {folder}
and goes away with Ctrl-C. In another terminal:

    cd {folder}

  An agent (a CI job of acme/shop that alice started) logs in with its token, then works:
    ssh -F login_config login@agent < agent.token > agent-cert.pub
    ssh -F ssh_config broker@agent whoami
    ssh -F ssh_config orders@agent 'SELECT name, email, card FROM customers'
    ssh -F ssh_config orders@agent 'DROP TABLE customers'                  # refused: exit 77
    ssh -F ssh_config orders@agent "DELETE FROM refunds WHERE id = 3"      # waits for bob
    ssh -F ssh_config -N -L 5432:orders:5432 broker@agent                  # then any client:
        psql -h 127.0.0.1 -p 5432 orders                                   # no password

  An engineer (alice) works by hand:
    ssh -F ssh_config orders@engineer                                      # psql
    ssh -F ssh_config box@engineer                                         # a shell, by the line
{machine}
  An approver (bob) answers:
    ssh -F ssh_config approvals@approver                                   # the screens
    ssh -F ssh_config broker@approver pending

  An auditor (carol) looks:
    ssh -F ssh_config broker@auditor sessions
    ssh -F ssh_config broker@auditor verify
    ssh -F ssh_config approvals@auditor                                    # s, then Enter, plays

  An admin (dana) can stop it all:
    ssh -F ssh_config broker@admin lock orders --reason "upgrade"
    ssh -F ssh_config broker@admin unlock orders

ssh_config renews the certificates by itself. Keys, tokens and the configuration (interlock.yaml)
are in the folder; {database} shows what really reached PostgreSQL.
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    demo = commands.add_parser("demo", help="a broker with sample data; Ctrl-C removes it")
    demo.add_argument("--tour", action="store_true", help="play the whole story, and check it")
    demo.add_argument("--dir", type=Path, metavar="DIR", help="an empty folder to use and keep")
    demo.add_argument("--port", type=int, default=0, help="default: a free one")
    demo.set_defaults(run=run)


def run(words: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C, or the tour to its end."""
    if shutil.which("ssh") is None:
        msg = "the demo needs ssh; install openssh-client"
        raise UsageError(msg)
    set_up("text")
    began = time.monotonic()
    with _folder(words.dir) as folder:
        return asyncio.run(_run(folder, words.port, tour=words.tour, began=began))


async def _run(folder: Path, port: int, *, tour: bool, began: float) -> int:
    from broker.demo.world import world  # a second of imports that other commands do not pay

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with world(folder, port) as made:
        print(f"interlock: the demo is up after {time.monotonic() - began:.1f} s", file=sys.stderr)
        if tour:
            return await _tour(made)
        print(_try(made), flush=True)
        await stop.wait()
    return 0


async def _tour(made: World) -> int:
    from broker.demo.tour import Tour

    began = time.monotonic()
    failed = await Tour(made, lambda line: print(line, flush=True)).run()
    took = f"{time.monotonic() - began:.1f} s"
    if failed is not None:
        print(f"\ninterlock: the tour failed at: {failed} ({took})", file=sys.stderr)
        return 1
    print(f"\nThe tour is complete: every step held ({took}).")
    return 0


def _try(made: World) -> str:
    machine = ""
    if made.machine is not None:
        machine = "    ssh -F ssh_config web@engineer                                         # a real sshd\n"  # noqa: E501
    return TRY.format(
        port=made.port, folder=made.folder, machine=machine, database=made.database.log
    )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(mode=0o711, parents=True, exist_ok=True)
        if any(given.iterdir()):
            msg = f"{given} is not empty"
            raise UsageError(msg)
        yield given.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="interlock-demo-"))
    made.chmod(0o711 if os.geteuid() == 0 else 0o700)  # the database's user must pass through
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
