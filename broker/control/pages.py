"""A recording a page at a time, so that a long one never has to fit in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 192 * 1024  # bytes of recording lines in one answer; the answer stays under 256 KiB


def page(path: Path, offset: int) -> dict[str, object]:
    """Events from byte `offset` of a recording on; `next` is where the next page begins, or None.

    The header comes with the first page. A last line that is still being written is left out.
    """
    header: object = None
    events: list[object] = []
    at = offset
    with path.open("rb") as file:
        file.seek(offset)
        if offset == 0:
            line = file.readline()
            header = json.loads(line)
            at += len(line)
        for line in file:
            if not line.endswith(b"\n"):
                return {"header": header, "events": events, "next": None}
            if events and at + len(line) - offset > PAGE:
                return {"header": header, "events": events, "next": at}
            events.append(json.loads(line))
            at += len(line)
    return {"header": header, "events": events, "next": None}
