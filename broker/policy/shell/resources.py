"""What a command touches, for people to read: the files it reads and writes, the hosts it reaches.

No rule is judged by this: rules meet every reading of every word (`mentions`), while this is the
likely one, to be shown on cards and kept as evidence.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.policy.shell import paths, ways_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.policy.shell.tree import Word

# Programs whose operands are files, and how many operands come before those.
_FILES = {
    **dict.fromkeys(
        (
            *(
                "cat",
                "tac",
                "head",
                "tail",
                "less",
                "more",
                "ls",
                "dir",
                "stat",
                "wc",
                "sort",
                "uniq",
            ),
            *("nl", "od", "xxd", "hexdump", "strings", "file", "du", "df", "cp", "mv", "ln", "rm"),
            *("rmdir", "unlink", "shred", "touch", "mkdir", "mkfifo", "truncate", "tee", "install"),
            *("readlink", "realpath", "diff", "cmp", "comm", "join", "paste", "cut", "md5sum"),
            *("sha1sum", "sha256sum", "sha512sum", "cksum", "b2sum", "base64", "gzip", "gunzip"),
            *("zcat", "bzip2", "bunzip2", "xz", "unxz", "zstd", "unzip", "zip", "split", "source"),
            *(".", "cd", "rev", "fold", "expand", "tree", "vi", "vim", "nano", "ed", "view"),
        ),
        0,
    ),
    **dict.fromkeys(
        (
            *("grep", "egrep", "fgrep", "zgrep", "rg", "sed", "awk", "gawk", "mawk", "chmod"),
            *("chown", "chgrp", "setfacl", "patch", "jq"),
        ),
        1,
    ),
}
_LAST_IS_WRITTEN = frozenset(("cp", "mv", "ln", "install"))
_FIRST_IS_HOST = frozenset(
    (
        *("ssh", "slogin", "mosh", "sftp", "telnet", "ping", "ping6", "traceroute", "tracepath"),
        *("mtr", "nc", "ncat", "netcat", "host", "nslookup", "dig", "whois", "ftp", "curl", "wget"),
    )
)
_HOST_COLON = frozenset(("scp", "rsync", "sftp"))
_HOST_OPTION = frozenset(
    ("psql", "pg_dump", "mysql", "mysqldump", "mariadb", "redis-cli", "mongosh", "pgbench")
)
_VALUED = {  # short options that take the next word, of programs whose first operand is a host
    "ssh": "BbcDEeFIiJLlmOopQRSWw",
    "ping": "cIiMmpQSsTtWw",
    "nc": "IiMmOPpqsTVWwXx",
    "curl": "AbCcDdEeFHhKmoPQrTtUuwXxYyz",
    "wget": "aBDeFIilOoPQRTtUwX",
    "head": "nc",
    "tail": "ncs",
    "grep": "ABCDdefm",
    "cut": "bcdf",
    "sort": "kSTt",
    "chmod": "",
}
_URL = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?(\[[0-9A-Fa-f:]+\]|[^/:@\s?#]+)", re.IGNORECASE
)
_AT_HOST = re.compile(r"(?:[^@/:\s]+@)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)")
_FORWARD = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9._-]*):.*", re.DOTALL)


def touched(words: tuple[Word, ...], directory: str) -> Iterator[tuple[str, str]]:
    """Pairs of ``read``, ``write`` or ``host``, and a normal path or the host as it is named."""
    name = ways_out.base(words[0].text)
    hosts = list(_hosts(name, words[1:]))
    yield from (("host", host) for host in hosts)
    operands = _operands(name, words[1:])
    files = list(_files(name, operands))
    for index, word in enumerate(files):
        written = name in _LAST_IS_WRITTEN and index == len(files) - 1
        action = "write" if written else "read" if name in ("cp", "ln") else paths.access(name)
        if path := _path(word, directory):
            yield action, path


def _path(word: Word, directory: str) -> str:
    text = word.text
    if word.is_unknown or word.has_home or text.startswith("/"):
        return text if word.is_unknown or word.has_home else paths.resolve("/", text)
    if directory in (paths.START, paths.LOST):
        return text
    return paths.resolve(directory, text)


def _files(name: str, operands: list[Word]) -> Iterator[Word]:
    before = _FILES.get(name)
    for index, word in enumerate(operands):
        if _URL.match(word.text) or word.text == "-":
            continue
        if before is None:
            if word.text.startswith(("/", "./", "../", "~/")):
                yield word
        elif index >= before:
            yield word


def _operands(name: str, words: tuple[Word, ...]) -> list[Word]:
    """The words that are no options, nor the values of those that we know to take one."""
    operands: list[Word] = []
    valued, ended, skip = _VALUED.get(name, ""), False, False
    for word in words:
        if skip:
            skip = False
        elif word.text == "--" and not ended:
            ended = True
        elif word.text.startswith("-") and len(word.text) > 1 and not ended:
            skip = len(word.text) == 2 and word.text[1] in valued
        else:
            operands.append(word)
    return operands


def _hosts(name: str, words: tuple[Word, ...]) -> Iterator[str]:
    for word in words:
        yield from _URL.findall(word.text)
    operands = [word.text for word in _operands(name, words)]
    if name in _HOST_COLON:
        yield from (match[1] for each in operands if (match := _FORWARD.fullmatch(each)))
    if name in _FIRST_IS_HOST:
        for each in operands if name in ("curl", "wget") else operands[:1]:
            bare = each.split("/", 1)[0].split(":", 1)[0] if name in ("curl", "wget") else each
            if "://" not in each and (match := _AT_HOST.fullmatch(bare)):
                yield match[1]
    if name in _HOST_OPTION:
        texts = [word.text for word in words]
        for at, each in enumerate(texts):
            if each in ("-h", "--host") and at + 1 < len(texts):
                yield texts[at + 1]
            elif each.startswith("--host="):
                yield each.removeprefix("--host=")
