"""Logins and connections: how many a second, what each costs the broker, how soon a lock bites.

Run: python bench/logins.py [LOGINS]
It starts a broker of its own with a loopback issuer, and speaks to it with asyncssh from this
process; the broker's CPU is read from /proc, so what this process costs is not in it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file

from broker.demo.issuer import DemoIssuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

AT_ONCE = 8
SESSIONS = 10
KNOCKS = 60
TICKS = os.sysconf("SC_CLK_TCK")
ANN = {"sub": "u-1", "email": "ann@acme.example", "groups": ["engineers"]}
CONFIG = """\
listen: 127.0.0.1:0
state: state
admins: [group:engineers]
limits: {{logins_per_source: 100000}}
issuers:
  - {{name: corp, issuer: "{url}", audience: interlock, kind: human, user: "{{email}}",
      groups_claim: groups}}
targets:
  box: {{kind: command, argv: [/bin/sh]}}
  other: {{kind: command, argv: [/bin/sh]}}
rules:
  - {{name: wait, who: [group:engineers], targets: [box], allow: {{commands: ["sleep *"]}}}}
"""


class Broker:
    """The running broker and a key of ours."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, issuer: DemoIssuer) -> None:
        self.process, self.port, self.issuer = process, port, issuer
        self.key = asyncssh.generate_private_key("ssh-ed25519")

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def connect(self, user: str, keys: list[Any]) -> Any:  # noqa: ANN401
        return asyncssh.connect(
            "127.0.0.1",
            self.port,
            username=user,
            client_keys=keys,
            known_hosts=None,
            config=None,
            agent_path=None,
            login_timeout=60,
        )

    async def log_in(self) -> list[Any]:
        async with self.connect("login", [self.key]) as connection:
            ran = await connection.run(input=self.issuer.token(ANN))
        assert ran.exit_status == 0, ran.stderr
        return [(self.key, asyncssh.import_certificate(ran.stdout))]


@asynccontextmanager
async def broker() -> AsyncIterator[Broker]:
    """One inside the block."""
    with tempfile.TemporaryDirectory() as folder:
        async with DemoIssuer("interlock").listening() as issuer:
            file = Path(folder) / "interlock.yaml"
            file.write_text(CONFIG.format(url=issuer.url))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "broker", "serve", "--config", str(file)),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                assert process.stderr is not None
                while b"listening on" not in (line := await process.stderr.readline()):
                    assert line, "the broker did not start"
                yield Broker(process, int(line.rpartition(b":")[2]), issuer)
            finally:
                process.terminate()
                await process.communicate()


async def rate(at: Broker, name: str, count: int, one: Callable[[], Awaitable[Any]]) -> None:
    """Do it `count` times, a few at once, and print a line."""
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await one()

    began, before = time.perf_counter(), at.cpu()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(worker())
    wall, cpu = time.perf_counter() - began, at.cpu() - before
    print(f"{name:<44}{count / wall:8.0f} /s   {1000 * cpu / count:6.1f} ms CPU of the broker")


async def lock(at: Broker, keys: list[Any]) -> None:
    """The time from a lock's answer, and from its asking, to the last closed session."""
    async with at.connect("box", keys) as sessions, at.connect("broker", keys) as admin:
        running = [await sessions.create_process("sleep 300") for _ in range(SESSIONS)]
        told = ""
        while told.count('"ended": null') + told.count('"ended":null') < SESSIONS:
            told = str((await admin.run("sessions --json")).stdout)
        asked = time.perf_counter()

        async def closed(process: Any) -> float:  # noqa: ANN401
            ended = await process.wait()
            assert ended.exit_status == 77, ended
            return 1000 * (time.perf_counter() - asked)

        async with asyncio.TaskGroup() as tasks:
            waits = [tasks.create_task(closed(one)) for one in running]
            tasks.create_task(admin.run("lock box --reason bench"))
        took = [one.result() for one in waits]
    print(f"{'from asking for a lock to a closed session':<44}{statistics.median(took):8.0f} ms"
          f"   ({max(took):.0f} ms the last of {SESSIONS})")  # fmt: skip


async def knocks(at: Broker) -> None:
    """How long a refusal takes, for names that are something and names that are nothing."""
    taken: dict[str, list[float]] = {name: [] for name in ("box", "other", "nix", "approvals")}
    for _ in range(KNOCKS):
        for name, times in taken.items():
            began = time.perf_counter()
            try:
                await at.connect(name, [at.key])
            except asyncssh.PermissionDenied:
                times.append(1000 * (time.perf_counter() - began))
    for name, times in taken.items():
        spread = statistics.quantiles(times, n=4)
        print(f"{'a refusal without a certificate: ' + name:<44}{spread[1]:8.2f} ms"
              f"   (quartiles {spread[0]:.2f}, {spread[2]:.2f})")  # fmt: skip


async def measure(count: int) -> None:
    async with broker() as at:
        keys = await at.log_in()

        async def connect() -> None:
            async with at.connect("broker", keys):
                pass

        async def whoami() -> None:
            async with at.connect("broker", keys) as connection:
                assert (await connection.run("whoami")).exit_status == 0

        await rate(at, "logins (token verified, certificate signed)", count, at.log_in)
        await rate(at, "connections by certificate", count, connect)
        await rate(at, "connections by certificate, and whoami", count, whoami)
        await knocks(at)
        await lock(at, keys)


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
