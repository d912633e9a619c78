"""The broker's clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Implements ports.Clock."""
    return datetime.now(UTC)
