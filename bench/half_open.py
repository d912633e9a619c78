"""How long a login and a command take while thousands of connections stand half open at the door.

Run: python bench/half_open.py SSH_CONFIG USER@HOST PORT [CONNECTIONS]
with a running `interlock demo --dir DIR`: DIR/ssh_config, broker@agent, and its port.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress


def timed(config: str, who: str) -> float:
    """Seconds that one `whoami` takes."""
    began = time.perf_counter()
    argv = ["ssh", "-F", config, who, "whoami"]
    subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    config, who, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 2000
    print(f"alone               {timed(config, who):6.2f} s")
    with ExitStack() as stack:
        for number in range(count):
            loris = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            with suppress(OSError):
                loris.send(b"SSH-2.0-slow"[: number % 13])
        print(f"behind {count:6d}       {timed(config, who):6.2f} s")
        print(f"and once more       {timed(config, who):6.2f} s")


if __name__ == "__main__":
    main()
