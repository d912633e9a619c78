"""A program for tests: starts the real screens in this terminal, and is the broker behind them.

    python -m tests.tui.serve ANSWERS [crash]

What was answered goes to the file ANSWERS, a JSON line each. With `crash`, the screens fail as
soon as they are up.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from broker.control import messages
from broker.control.client import Page, Refused
from tests.tui.fake_control import FakeControl, command, review, session

CRASH = """
import sys
import tui.__main__ as screens

class Crash(screens.ApprovalsApp):
    def on_ready(self):
        secret = "a value that no approver should see"
        raise RuntimeError(secret)

screens.ApprovalsApp = Crash
sys.exit(screens.main(sys.argv[1:]))
"""


def told(value: object) -> Any:
    """A result as JSON values."""
    if isinstance(value, tuple):
        return [told(one) for one in value]
    if isinstance(value, Page):
        header = {"version": 2, "width": value.columns, "height": value.rows}
        events = [[event.time, event.code, event.data] for event in value.events]
        return {"header": header, "events": events, "next": value.next}
    shape: dict[str, Any] = asdict(value)  # type: ignore[call-overload]
    for key, member in shape.items():
        if isinstance(member, datetime):
            shape[key] = member.isoformat().replace("+00:00", "Z")
        elif isinstance(member, tuple):
            shape[key] = list(member)
    shape["closed"] = shape.pop("closed_at", None)
    return shape


async def answer(control: FakeControl, request: messages.Request) -> bytes:
    """One line back."""
    args: Any = request.args
    try:
        match request.do:
            case "hello":
                result: object = await control.hello()
            case "pending":
                result = await control.pending()
            case "show":
                result = await control.show(args["id"])
            case "approve":
                result = await control.approve(args["id"], args["digest"], args["reason"])
            case "deny":
                result = await control.deny(args["id"], args["digest"], args["reason"])
            case "sessions":
                result = await control.sessions()
            case "play":
                result = await control.play(args["session"], args["offset"])
            case other:
                return messages.encode_error(request.id, f"no {other}", 64)
    except Refused as refused:
        return messages.encode_error(request.id, str(refused), int(refused.code))
    return messages.encode_result(request.id, told(result))


def note(control: FakeControl, answers: Path) -> None:
    """Write down what was answered so far."""
    said = [json.dumps(call) for call in control.calls if call[0] != "play"]
    answers.write_text("\n".join(said), encoding="utf-8")


async def main(answers: Path, *, crash: bool) -> int:
    """Serve until the screens are left; their status."""
    control = FakeControl([review(), command()], [session()])
    ours, theirs = socket.socketpair()
    start = ["-c", CRASH] if crash else ["-m", "tui"]
    fd = str(theirs.fileno())
    screens = await asyncio.create_subprocess_exec(
        sys.executable, *start, "--control-fd", fd, pass_fds=[theirs.fileno()]
    )
    theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours, limit=messages.LINE_LIMIT)
    while line := await reader.readline():
        writer.write(await answer(control, messages.decode_request(line)))
        await writer.drain()
        note(control, answers)
    writer.close()
    return await screens.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), crash="crash" in sys.argv)))
