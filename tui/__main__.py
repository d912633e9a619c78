"""`python -m tui --control-fd N`: one approver's screens, for a broker that holds the other end.

The broker starts it in a terminal of its own. It is given one connected socket and nothing else,
and leaves with 0, or with one sentence and another status: never with a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys

from broker.control.client import connected
from tui.app import ApprovalsApp

USAGE, FAULT = 64, 70
SORRY = "interlock: the approvals screen stopped because of a fault; nothing was answered by it\n"


def main(argv: list[str] | None = None) -> int:
    """Run the screens until the person leaves."""
    parser = argparse.ArgumentParser(prog="python -m tui", description="Started by the broker.")
    parser.add_argument("--control-fd", type=int, required=True, help="a connected socket")
    number: int = parser.parse_args(argv).control_fd
    logging.getLogger().addHandler(logging.NullHandler())  # or asyncio would write to the screen
    try:
        channel = socket.socket(fileno=number)
        os.set_inheritable(number, False)
    except OSError:
        sys.stderr.write("interlock: the control channel is not open; the broker starts this\n")
        return USAGE
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        channel.close()
        sys.stderr.write("interlock: the approvals screen needs a terminal: ssh -t approvals@...\n")
        return USAGE
    try:
        code = asyncio.run(_run(channel))
    except BaseException:  # noqa: BLE001 - the last line: an approver never sees a traceback
        code = FAULT
    if code:
        sys.stderr.write(SORRY)
        return FAULT
    return 0


async def _run(channel: socket.socket) -> int:
    async with connected(channel) as control:
        app = ApprovalsApp(control)
        await app.run_async()
        return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
