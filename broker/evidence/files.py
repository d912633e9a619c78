"""Files that somebody may have been at: listed and opened without being led astray."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path


def listed(root: Path) -> list[str]:
    """Every file below `root`, and every link, relative to it."""
    found = []
    for folder, folders, files in os.walk(root):
        base = root.__class__(folder)
        links = [name for name in folders if (base / name).is_symlink()]
        found += [(base / name).relative_to(root).as_posix() for name in (*files, *links)]
    return found


def open_plain(path: Path) -> BufferedReader:
    """Open a file to read it; OSError when it is a link, a pipe, a folder, or not there."""
    return open(path, "rb", opener=_opener)


def _opener(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", path)
    return descriptor
