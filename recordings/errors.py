"""What can go wrong with a recording."""

from __future__ import annotations


class RecordingFailed(Exception):
    """A recording could not be written: nothing more may be shown that is not recorded."""


class RecordingUnreadable(Exception):
    """A file is not a recording that we can read, or no such recording exists."""
