"""Plays a recording on a terminal, in time; Ctrl-C or q ends it.

A recording holds whatever a target printed. What reaches the auditor's terminal is text, line
ends, colours and cursor movement: sequences that set titles, clipboards or modes, or that make
the terminal answer, are left out (`inert`).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from recordings.asciicast import decode_event, decode_header

if TYPE_CHECKING:
    from pathlib import Path

    from broker.console.client import Client

STRINGS = re.compile(
    r"\x1b[P\]X^_k].*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC and title strings
    r"|[\x90\x98\x9d\x9e\x9f].*?(?:\x07|\x1b\\|\x9c|$)",
    re.DOTALL,
)
CSI = re.compile(r"\x1b\[([0-9;:]*)([ -/]*)([@-~])|\x1b\[[^@-~]*[@-~]?")
OTHER = re.compile(r"\x1b[^\[]|\x1b$|[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
HARMLESS = frozenset("mKJHfABCDGdXPLM@")  # colours, erasing, cursor movement, insert and delete


def inert(text: str) -> str:
    """Terminal output without anything but text, colours and cursor movement."""

    def kept(found: re.Match[str]) -> str:
        final = found.group(3)
        return found.group() if final in HARMLESS and not found.group(2) else ""

    text = STRINGS.sub("", text)
    pieces = []
    last = 0
    for found in CSI.finditer(text):
        pieces += [OTHER.sub("", text[last : found.start()]), kept(found)]
        last = found.end()
    return "".join([*pieces, OTHER.sub("", text[last:])])


async def replay(path: Path, client: Client, *, speed: float, idle: float) -> None:
    """Print a recording's output at its own pace; pauses longer than `idle` seconds are cut."""
    stop = asyncio.Event()

    async def keys() -> None:
        while data := await client.read():
            if b"\x03" in data or b"q" in data:
                stop.set()
                return  # the end of input is no wish to stop: it plays on

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(keys())
        await _play(path, client, stop, max(speed, 0.1), idle)
        reading.cancel()


async def _play(path: Path, client: Client, stop: asyncio.Event, speed: float, idle: float) -> None:
    before = 0.0
    with path.open("rb") as file:
        decode_header(file.readline())
        for line in file:
            event = decode_event(line)
            pause = min(event.time - before, idle) / speed
            before = event.time
            if await _stopped_within(stop, pause):
                break
            if event.code == "o":
                await client.write(inert(event.data).encode())
            elif event.code == "m":
                await client.write(f"\x1b[7m {inert(event.data)} \x1b[0m\r\n".encode())


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    if seconds <= 0:
        return stop.is_set()
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
