"""The sandbox of a local program: own namespaces where there are any, limits, no new privileges.

    env ─► unshare ─► [setsid] ─► prlimit ─► sh (first in there) ─► env ─► setpriv ─► program

With a process namespace nothing outlives its line, however it detaches itself, and no program
sees the processes (and so the environments, with their secrets) of others. A namespace's first
process is deaf to signals that it does not handle, so that is a shell which waits for the program.
Only programs of util-linux and coreutils: what a machine lacks is left out, and said once.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING

from broker.errors import TargetUnreachable

if TYPE_CHECKING:
    import pwd

log = logging.getLogger("interlock.shell")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMITS = ("--core=0", "--nofile=1024:4096", "--nproc=4096")
# `unshare` would die of these, and its namespace with it; the program must get them all the same.
PASSED = "HUP,QUIT,USR1,USR2"
# The shell's own words about a program that a signal ended are nobody's output.
FIRST = 'exec 3>&2 2>/dev/null; trap : INT TERM; (exec "$@" 2>&3 3>&-); exit $?'
_TIERS = (
    ("--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts"),
    ("--pid", "--fork", "--kill-child", "--ipc", "--uts"),
)


def confined(
    words: list[str], account: pwd.struct_passwd | None, *, terminal: bool = False
) -> list[str]:
    """The argv that runs these words confined, as this account when we are root.

    With a `terminal`, which is its standard input, it leads a session of its own there. In a
    process namespace that session must be made inside: shells give the terminal back to the
    group that they found, which may not be a stranger's.
    """
    outside, inside = _namespaces()
    session = [_setsid(), "--ctty"] if terminal else []
    if outside:
        return [*outside, *session, *inside, *_inside(account), *words]
    return [*session, *inside, *_inside(account), *words]


def has_namespaces() -> bool:
    """Does a program get namespaces of its own here?"""
    return bool(_namespaces()[0])


def _setsid() -> str:
    setsid = tool("setsid")
    if setsid is None:
        msg = "setsid was not found: command targets give no terminal"
        raise TargetUnreachable(msg)
    return setsid


def tool(name: str) -> str | None:
    """Where a program of the system is."""
    return shutil.which(name, path=PATH)


def _inside(account: pwd.struct_passwd | None) -> list[str]:
    setpriv = tool("setpriv")
    if setpriv is None:
        return []
    who: list[str] = []
    if account is not None and os.geteuid() == 0:
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        who = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
        who.append(f"--groups={','.join(map(str, groups))}")
    return [setpriv, *who, "--no-new-privs", "--"]


@cache
def _namespaces() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What goes into namespaces on this machine, and what comes next; found out by trying."""
    env, sh, prlimit, unshare = (tool(name) for name in ("env", "sh", "prlimit", "unshare"))
    limits = (prlimit, *LIMITS, "--") if prlimit is not None else ()
    if not _works((*limits, "true")):
        limits = ()
    if env is None or sh is None or unshare is None:
        log.warning("unshare was not found: command targets run without namespaces of their own")
        return (), limits
    user = () if os.geteuid() == 0 else ("--user", "--map-current-user")
    for tier in _TIERS:
        outside = (env, f"--ignore-signal={PASSED}", unshare, *user, *tier, "--")
        inside = (*limits, sh, "-c", FIRST, "sh", env, f"--default-signal={PASSED}")
        if _works((*outside, *inside, "true")):
            return outside, inside
    log.warning("this machine gives no namespaces: command targets run without their own")
    return (), limits


def _works(argv: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=5, check=False, cwd="/", env={})
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
