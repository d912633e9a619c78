"""pgbench -S through `ssh -L` and the broker, beside a direct connection; ratios of one run.

Random keys, so that every statement is a new text and is judged from scratch.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from broker.demo.database import free_port
from broker.demo.tour import environment
from broker.demo.world import World, world

SECONDS = 4


def pgbench(made: World, port: int, user: str, password: str, mode: str, clients: int) -> float:
    """Transactions a second."""
    argv = [str(made.database.bin / "pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", user]
    argv += ["-n", "-S", "-M", mode, "-c", str(clients), "-T", str(SECONDS), "orders"]
    env = {"PGPASSWORD": password, "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    found = re.search(r"tps = ([\d.]+)", ran.stdout)
    if found is None:
        sys.exit(ran.stderr)
    return float(found.group(1))


async def main() -> None:
    """Measure each mode by each way."""
    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        Path(folder).chmod(0o711)
        async with world(Path(folder)) as made:
            secret = (Path(folder) / "servers" / "pgpass").read_text()
            conninfo = f"host=127.0.0.1 port={made.database.port} dbname=orders user=postgres"
            init = [str(made.database.bin / "pgbench"), "-h", "127.0.0.1", "-q", "-i"]
            init += ["-p", str(made.database.port), "-U", "postgres", "orders"]
            await asyncio.to_thread(
                subprocess.run, init, env={"PGPASSWORD": secret}, check=True, capture_output=True
            )
            with psycopg.connect(conninfo, password=secret, autocommit=True) as connection:
                connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
            port = free_port()
            forward = ["ssh", "-F", str(made.ssh_config), "-N"]
            forward += ["-L", f"127.0.0.1:{port}:orders:5432", "broker@agent"]
            ssh = await asyncio.create_subprocess_exec(*forward, env=environment(Path(folder)))
            await asyncio.sleep(1.5)
            print("mode      clients   direct tps   broker tps   ratio")
            for mode in ("simple", "extended", "prepared"):
                for clients in (1, 16):
                    direct = await asyncio.to_thread(
                        pgbench, made, made.database.port, "postgres", secret, mode, clients
                    )
                    broker = await asyncio.to_thread(
                        pgbench, made, port, "anybody", "", mode, clients
                    )
                    ratio = broker / direct
                    print(f"{mode:<9} {clients:>7} {direct:>12.0f} {broker:>12.0f} {ratio:>7.2f}")
            ssh.terminate()
            await ssh.wait()


if __name__ == "__main__":
    asyncio.run(main())
