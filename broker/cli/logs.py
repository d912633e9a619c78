"""Logs on stderr: sentences, or one JSON object a line with ``log: json``."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, where from, and the sentence."""
        told: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


def set_up(form: str) -> None:
    """Log warnings of libraries and our own sentences to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("interlock: %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if form == "json" else text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("interlock").setLevel(logging.INFO)
    for peers in ("asyncssh", "asyncio"):  # a peer's mistakes, and writes to clients that left
        logging.getLogger(peers).setLevel(logging.ERROR)
