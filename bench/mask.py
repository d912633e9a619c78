"""How fast the masker is: MB/s over clean, sparse, dense and table-like text in 32 KB chunks.

Run: python bench/mask.py [MEGABYTES]
"""

from __future__ import annotations

import random
import sys
import time

from broker.mask.rules import DETECTORS
from broker.mask.stream import StreamMask

CHUNK = 32768
LEVELS = ("INFO", "DEBUG", "WARN")
WORDS = ("request", "served", "cache", "miss", "worker", "started", "closed", "upstream", "reset")


def clean_line(rng: random.Random) -> str:
    """A line of an ordinary service's log."""
    uuid = "-".join(f"{rng.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12))
    return (
        f"2026-03-{rng.randrange(1, 29):02} 12:{rng.randrange(60):02}:07,{rng.randrange(1000):03} "
        f"{rng.choice(LEVELS)} [web{rng.randrange(9)}] {uuid} {' '.join(rng.choices(WORDS, k=5))} "
        f"10.0.{rng.randrange(256)}.{rng.randrange(256)} {rng.randrange(10**6)}ms\n"
    )


def table_line(rng: random.Random) -> str:
    """A row as psql prints it: three values of six columns are sensitive."""
    n = rng.randrange(10**4)
    return (
        f" {n:6} | user{n:05}@example.com        | 4111 1111 1111 1111 | "
        f"078-05-{n:04} | {rng.choice(WORDS):10} | {rng.random():.4f}\n"
    )


def dense_line(rng: random.Random) -> str:
    """Nothing but values."""
    n = rng.randrange(10**4)
    return (
        f'{{"email": "u{n}@example.com", "card": "4111111111111111", "phone": "415-555-{n:04}"}}\n'
    )


def colour_line(rng: random.Random) -> str:
    """A clean line with colours in it."""
    return clean_line(rng).replace("INFO", "\x1b[32mINFO\x1b[0m").replace("[web", "\x1b[1m[web")


def sparse_line(rng: random.Random) -> str:
    """A log in which each twentieth line holds a value."""
    return dense_line(rng) if rng.random() < 0.05 else clean_line(rng)


def measure(name: str, data: bytes) -> None:
    """Print one row."""
    best = 0.0
    for _ in range(3):
        mask = StreamMask(DETECTORS)
        began = time.perf_counter()
        for at in range(0, len(data), CHUNK):
            mask.feed(data[at : at + CHUNK])
        mask.close()
        best = max(best, len(data) / (time.perf_counter() - began) / 1e6)
    print(f"{name:8} {best:8.1f} MB/s")


def main() -> None:
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 4_000_000
    rng = random.Random(7)  # noqa: S311 - the same text each time
    for make in (clean_line, colour_line, sparse_line, table_line, dense_line):
        lines, length = [], 0
        while length < size:
            lines.append(make(rng))
            length += len(lines[-1])
        measure(make.__name__.removesuffix("_line"), "".join(lines).encode())


if __name__ == "__main__":
    main()
