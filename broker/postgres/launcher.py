"""Confines itself, then becomes another program: ``python -I -S launcher.py SPEC ARGV...``.

Nothing of the broker is imported, so that it starts fast and can be read whole. Each layer is
tried and what came of it is written, as one JSON object, to the descriptor that the
specification names; the caller decides what to do about a layer that the kernel does not offer.

Order matters: paths are opened with the rights we came with, then the user is dropped, then
limits, Landlock and seccomp follow, each of which only takes rights away.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
FS_EXECUTE, FS_READ_FILE, FS_READ_DIR = 1 << 0, 1 << 2, 1 << 3
FS_BY_ABI = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}  # rights known before each
NET_TCP = 0b11  # bind and connect
SCOPES = 0b11  # abstract Unix sockets and signals
EPERM, ENOSYS = 1, 38

# Per machine: the audit architecture, `socket`, and what a client program never needs: creating
# processes and executables; sending signals; being a server; reading other processes; namespaces
# and mounts; keys; kernel doors with a history; changing files' owners and modes.
MACHINES: dict[str, tuple[int, int, tuple[tuple[int, ...], ...]]] = {
    "x86_64": (
        0xC000003E,
        41,
        (
            (56, 57, 58, 319, 322),
            (62, 129, 200, 234, 297, 424, 434, 438),
            (43, 49, 50, 53, 288),
            (101, 310, 311),
            (135, 155, 161, 165, 166, 272, 304, 308, 428, 429, 430, 432, 442),
            (248, 249, 250),
            (175, 176, 246, 298, 313, 321, 323, 425, 426, 427),
            (90, 91, 92, 93, 94, 133, 188, 189, 190, 259, 260, 268, 452),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        198,
        (
            (220, 279, 281),
            (129, 130, 131, 138, 240, 424, 434, 438),
            (199, 200, 201, 202, 242),
            (117, 270, 271),
            (39, 40, 41, 51, 92, 97, 265, 268, 428, 429, 430, 432, 442),
            (217, 218, 219),
            (104, 105, 106, 241, 273, 280, 282, 425, 426, 427),
            (5, 6, 7, 33, 52, 53, 54, 55, 452),
        ),
    ),
}
CLONE3 = 435  # answered with ENOSYS, as by an old kernel: its flags cannot be seen by a filter


class Spec(TypedDict):
    """What the caller asks for."""

    report: int  # the descriptor to write the report to
    user: tuple[int, int] | None  # uid and gid to become
    limits: dict[str, int]
    read: list[str]
    execute: list[str]
    without: list[str]  # layers to leave out


class Unavailable(Exception):
    """This kernel or machine does not offer a layer."""


def prctl(option: int, value: int, pointer: object = 0) -> None:
    """Call prctl; OSError when it fails."""
    if libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


def landlock_call(number: int, *arguments: object) -> int:
    """Call one of Landlock's system calls."""
    result: int = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        errno = ctypes.get_errno()
        raise Unavailable(os.strerror(errno))
    return result


def drop_user(uid: int, gid: int) -> None:
    """Become another user for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def limit(limits: dict[str, int]) -> None:
    """Set each limit, soft and hard; never above what we came with."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def landlock_ruleset() -> tuple[int, int]:
    """A ruleset that handles all this kernel knows, and the file rights among it."""
    abi = landlock_call(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    files = FS_BY_ABI.get(abi, 1 << 16) - 1
    rights = struct.pack("=QQQ", files, NET_TCP if abi >= 4 else 0, SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = landlock_call(LANDLOCK_CREATE, rights, ctypes.c_size_t(size), ctypes.c_uint(0))
    return ruleset, files


def landlock_allow(ruleset: int, path: int, rights: int) -> None:
    """Let what is beneath an opened path be used with these rights."""
    rule = struct.pack("=Qi", rights, path)
    landlock_call(LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))


def landlock(read: list[int], execute: list[int]) -> None:
    """Allow reading and executing the paths given, and nothing else of files, TCP and signals."""
    ruleset, _ = landlock_ruleset()
    for path in read:
        landlock_allow(ruleset, path, FS_READ_FILE | (FS_READ_DIR if is_folder(path) else 0))
    for path in execute:
        landlock_allow(ruleset, path, FS_READ_FILE | FS_EXECUTE)
    landlock_call(LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))


def is_folder(descriptor: int) -> bool:
    """Does an opened path name a folder?"""
    return os.fstat(descriptor).st_mode & 0o170000 == 0o040000


def seccomp_program(machine: str) -> bytes:
    """The filter: no new processes or servers, Unix sockets only, nothing of the deny list."""
    if machine not in MACHINES:
        raise Unavailable(f"no filter for {machine}")
    arch, socket, groups = MACHINES[machine]
    denied = [number for group in groups for number in group]
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06

    def step(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, k)

    checks: list[bytes] = []
    total = len(denied) + 3  # instructions between the first check of a number and "allow"
    for index, number in enumerate(denied):
        checks.append(step(equal, number, total - index))
    checks.append(step(at_least, 0x40000000, 3))  # the x32 door of x86_64
    checks.append(step(equal, CLONE3, 3))
    checks.append(step(equal, socket, 3))
    return b"".join(
        [
            step(load, 4),  # seccomp_data.arch
            step(equal, arch, 1),
            step(answer, 0x80000000),  # kill: another machine's numbers
            step(load, 0),  # seccomp_data.nr
            *checks,
            step(answer, 0x7FFF0000),  # allow
            step(answer, 0x00050000 | EPERM),
            step(answer, 0x00050000 | ENOSYS),
            step(load, 16),  # the first argument of socket()
            step(equal, 1, 0, 1),  # AF_UNIX
            step(answer, 0x7FFF0000),
            step(answer, 0x00050000 | EPERM),
        ]
    )


def seccomp(machine: str) -> None:
    """Install the filter; it also holds for what we become."""
    program = seccomp_program(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    try:
        prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)))
    except OSError as error:
        raise Unavailable(error.strerror) from None


def opened(paths: list[str]) -> list[int]:
    """Descriptors of the paths that exist."""
    return [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths if Path(path).exists()]


def confine(spec: Spec) -> tuple[list[str], list[str]]:
    """Apply every layer; which hold, and which this kernel does not offer."""
    read, execute = opened(spec["read"]), opened(spec["execute"])
    held, missing = ["environment"], []
    if spec["user"] is not None:
        drop_user(*spec["user"])
        held.append("user")
    # After the change of user: execve fails for a user who was over this limit when it changed.
    limit(spec["limits"])
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    held += ["limits", "no-new-privileges"]
    layers: dict[str, Callable[[], None]] = {
        "landlock": lambda: landlock(read, execute),
        "seccomp": lambda: seccomp(platform.machine()),
    }
    for name, layer in layers.items():
        if name in spec["without"]:
            missing.append(f"{name} (switched off)")
            continue
        try:
            layer()
            held.append(name)
        except Unavailable as error:
            missing.append(f"{name} ({error})")
    return held, missing


def main() -> NoReturn:
    """Confine ourselves, report, become the program."""
    spec: Spec = json.loads(sys.argv[1])
    report = spec["report"]
    try:
        held, missing = confine(spec)
        os.write(report, json.dumps({"held": held, "missing": missing}).encode())
        os.set_inheritable(report, False)
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming it is the point
    except BaseException as error:  # noqa: BLE001 - reported, whatever it is
        os.write(
            report, b"\n" + json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode()
        )
        os._exit(70)


if __name__ == "__main__":
    main()
