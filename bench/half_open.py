"""How long a command takes while thousands of connections stand half open at the door.

Run: python bench/half_open.py [CONNECTIONS]
"""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from rig.room import Room, room


def timed(made: Room) -> float:
    """Seconds that one `whoami` takes."""
    began = time.perf_counter()
    argv = made.ssh("broker@agent", "whoami")
    subprocess.run(
        argv, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=made.environment
    )
    return time.perf_counter() - began


def measure(made: Room, count: int) -> None:
    """Print the time alone, and behind so many connections that say a few bytes and stay."""
    told = subprocess.run(
        made.ssh("-G", "broker@agent"), capture_output=True, text=True, check=True
    )
    port = int(re.findall(r"^port (\d+)$", told.stdout, re.MULTILINE)[0])
    print(f"alone               {timed(made):6.2f} s")
    with ExitStack() as stack:
        for number in range(count):
            loris = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            with suppress(OSError):
                loris.send(b"SSH-2.0-slow"[: number % 13])
        print(f"behind {count:6d}       {timed(made):6.2f} s")
        print(f"and once more       {timed(made):6.2f} s")


async def main() -> None:
    """A broker of its own, and the crowd."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as name:
        async with room(Path(name)) as made:
            await asyncio.to_thread(measure, made, count)


if __name__ == "__main__":
    asyncio.run(main())
