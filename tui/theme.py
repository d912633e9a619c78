"""The look: the terminal's own sixteen colours, and a meaning that never hangs on colour alone."""

from __future__ import annotations

THEME = "ansi-dark"

QUIET = "dim"
STRONG = "bold"
URGENT = "bold reverse"
CURSOR = "reverse"
WARNING = "bold ansi_yellow"
GOOD = "ansi_green"
BAD = "bold ansi_red"

LAST_MINUTE = 60.0  # seconds left from which a countdown is urgent
