"""Shells through the broker, beside `ssh -J` through an OpenSSH jump host to the same machine.

bulk         a file of log lines by `cat`: recorded, without and with masking (nothing sensitive)
keystroke    one byte to `cat` in a terminal until its echo is back; alone, and beside a bulk stream
prompt       one key at the broker's own prompt until it is drawn, beside a key to a plain pty
connections  connect, run `true`, leave: each a connection of its own

Run: python bench/ssh.py [--only bulk|keys|connections] [--megabytes N] [--rounds N] [--keys N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pexpect
from mask import clean_line
from rig.room import DETECT, Room, room

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN = ""  # no masking section at all
WAYS = {"ssh -J": ("-J", "jump", "machine"), "broker": ("web@engineer",)}
PERCENTILE = 0.99


def fill(path: Path, megabytes: int) -> None:
    """A file of clean log lines."""
    rng = random.Random(7)  # noqa: S311 - the same text each time
    block = "".join(clean_line(rng) for _ in range(10_000)).encode()
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // len(block)):
            file.write(block)
    path.chmod(0o644)


async def bulk(made: Room, way: str, command: str) -> float:
    """MB/s of a command's output."""
    argv = made.ssh("-T", *WAYS[way], command)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        env=made.environment, limit=1 << 20,
    )  # fmt: skip
    assert process.stdout is not None
    size = 0
    while data := await process.stdout.read(1 << 20):
        size += len(data)
    await process.wait()
    return size / (time.perf_counter() - began) / 1e6


async def measure_bulk(made: Room, words: argparse.Namespace, what: str) -> None:
    """Print one row."""
    file = made.folder / "log.txt"
    spent = cpu_seconds(made.process.pid)
    rounds = [
        {way: await bulk(made, way, f"cat {file}") for way in WAYS} for _ in range(words.rounds)
    ]
    spent = (cpu_seconds(made.process.pid) - spent) / words.rounds / words.megabytes * 1000
    show(f"output, {what}", "MB/s", rounds)
    print(f"{'':34} (the broker's CPU: {spent:.1f} s/GB)", flush=True)


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keystrokes(made: Room, way: str, keys: int, command: str = "cat") -> list[float]:
    """Milliseconds from each key to its echo, in a program that runs in a terminal."""
    argv = made.ssh("-tt", *WAYS[way], *([command] if command else []))
    child = pexpect.spawn(argv[0], argv[1:], env=made.environment, timeout=20, maxread=65536)
    child.delaybeforesend = None
    took = []
    try:
        time.sleep(1.5)
        drain(child)
        for number in range(keys):
            key = b"abcdefghijklmnopqrstuvwxyz"[number % 26 : number % 26 + 1]
            began = time.perf_counter()
            os.write(child.child_fd, key)
            while key not in child.read_nonblocking(4096, 20):
                pass
            took.append((time.perf_counter() - began) * 1000)
            if number % 40 == 39:  # a short line; at a prompt, taken back
                os.write(child.child_fd, b"\x15")
                time.sleep(0.05)
                drain(child)
            time.sleep(0.004)
    finally:
        child.close(force=True)
    return took


def drain(child: pexpect.spawn[bytes]) -> None:
    """Throw away what has come."""
    try:
        while child.read_nonblocking(65536, 0.05):
            pass
    except pexpect.TIMEOUT:
        return


async def beside_bulk(made: Room, way: str, keys: int) -> list[float]:
    """The same while another session's bulk stream runs through the same way."""
    log = str(made.folder / "log.txt")
    endless = made.ssh("-T", *WAYS[way], "cat " + " ".join([log] * 400))
    process = await asyncio.create_subprocess_exec(
        *endless, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        env=made.environment,
    )  # fmt: skip
    try:
        return await asyncio.to_thread(keystrokes, made, way, keys)
    finally:
        process.terminate()
        await process.wait()


async def measure_keys(made: Room, words: argparse.Namespace) -> None:
    """Print p50 and p99 of each way, alone and beside a bulk stream."""
    print(
        f"{'keystroke to echo, ms':34} {'ssh -J p50':>11} {'p99':>7} {'broker p50':>11} {'p99':>7}"
    )
    alone = {w: await asyncio.to_thread(keystrokes, made, w, words.keys) for w in WAYS}
    spread("in a program", alone)
    prompt = {
        "ssh -J": await asyncio.to_thread(keystrokes, made, "ssh -J", words.keys, "cat"),
        "broker": await asyncio.to_thread(keystrokes, made, "broker", words.keys, ""),
    }
    spread("at the prompt (ssh -J: program)", prompt)
    beside = {w: await beside_bulk(made, w, words.keys) for w in WAYS}
    spread("beside a bulk stream", beside)


def spread(what: str, took: dict[str, list[float]]) -> None:
    """One row of percentiles."""
    figures = []
    for way in WAYS:
        ordered = sorted(took[way])
        figures += [f"{median(ordered):>11.2f}", f"{ordered[int(len(ordered) * PERCENTILE)]:>7.2f}"]
    print(f"{what:34} {' '.join(figures)}", flush=True)


async def connections(made: Room, way: str, count: int) -> float:
    """Connections a second, four at a time."""
    gate = asyncio.Semaphore(4)

    async def one() -> None:
        async with gate:
            process = await asyncio.create_subprocess_exec(
                *made.ssh("-T", *WAYS[way], "true"), stdin=asyncio.subprocess.DEVNULL,
                env=made.environment,
            )  # fmt: skip
            assert await process.wait() == 0

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(one())
    return count / (time.perf_counter() - began)


def show(what: str, unit: str, rounds: Sequence[dict[str, float]]) -> None:
    """One row of medians and their ratio."""
    middle = {way: median(one[way] for one in rounds) for way in WAYS}
    ratios = sorted(one["broker"] / one["ssh -J"] for one in rounds)
    print(
        f"{what:34} ssh -J {middle['ssh -J']:7.1f} {unit}  broker {middle['broker']:7.1f} {unit}  "
        f"ratio {median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})",
        flush=True,
    )


async def main() -> None:
    """Measure without masking, then with it."""
    reads = argparse.ArgumentParser()
    reads.add_argument("--megabytes", type=int, default=200)
    reads.add_argument("--rounds", type=int, default=3)
    reads.add_argument("--keys", type=int, default=500)
    reads.add_argument("--only", choices=("bulk", "keys", "connections"))
    words = reads.parse_args()
    for masking, what in ((PLAIN, "recorded"), (DETECT, "recorded and masked")):
        with tempfile.TemporaryDirectory(prefix="interlock-bench-") as name:
            async with room(Path(name), masking) as made:
                fill(made.folder / "log.txt", words.megabytes)
                if words.only in {None, "bulk"}:
                    await measure_bulk(made, words, what)
                if masking == PLAIN and words.only in {None, "keys"}:
                    await measure_keys(made, words)
                if masking == PLAIN and words.only in {None, "connections"}:
                    rounds = [
                        {way: await connections(made, way, 20) for way in WAYS}
                        for _ in range(words.rounds)
                    ]
                    show("connections", "/s", rounds)


if __name__ == "__main__":
    asyncio.run(main())
