"""Our block in a person's ssh_config: which key a broker wants, and how ssh renews its certificate.

The block is between two marks and is replaced as a whole. It stands at the end of the file, so
that what comes before keeps its meaning; nothing else of the file is touched.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.cli import whole_file
from broker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

UNQUOTABLE = re.compile(r'["\\\x00-\x1f\x7f]')  # ssh versions differ in how they would be read


@dataclass(frozen=True, slots=True)
class Block:
    """What ssh has to know of one broker. `renew` is the command that makes a new certificate.

    `options` are more settings (``NAME=VALUE``) that reach the broker, such as ProxyJump.
    """

    host: str
    port: int
    key: Path
    certificate: Path
    renew: Sequence[str]
    options: Sequence[str] = ()

    @property
    def marks(self) -> tuple[str, str]:
        """The lines around it, by which it is found again."""
        name = f"interlock {self.host}"
        return f"# {name}: begin (kept by `interlock login`)", f"# {name}: end"

    def __str__(self) -> str:
        """The block as ssh reads it; `!user login` because a login is how a renewal is made."""
        begin, end = self.marks
        command = _quoted(shlex.join(self.renew))
        lines = [
            begin,
            f"Match originalhost {self.host} !user login exec {command}",
            f"Host {self.host}",
            f"    Port {self.port}",
            f"    IdentityFile {_quoted(str(self.key))}",
            f"    CertificateFile {_quoted(str(self.certificate))}",
            "    IdentitiesOnly yes",
            *(f"    {_setting(option)}" for option in self.options),
            "Match all",
            end,
        ]
        return "\n".join(lines) + "\n"


def install(block: Block, file: Path) -> bool:
    """Put the block into the file, in place of what it was; False when it is there already."""
    target = file.resolve()  # a link into a folder of dotfiles stays a link
    before = target.read_text() if target.exists() else ""
    after = _with(block, before)
    if after == before:
        return False
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    whole_file.write(target, after.encode(), mode)
    return True


def _with(block: Block, before: str) -> str:
    begin, end = (re.escape(mark) for mark in block.marks)
    old = re.compile(rf"^{begin}\n.*?^{end}(?:\n|\Z)", re.DOTALL | re.MULTILINE)
    if old.search(before):
        return old.sub(lambda _: str(block), before, count=1)
    if not before:
        return str(block)
    return before.rstrip("\n") + f"\n\n{block}"


def _quoted(text: str) -> str:
    """One word of ssh_config; ssh itself fills in what begins with a percent sign."""
    if UNQUOTABLE.search(text):
        msg = f"ssh_config cannot hold this path or option: {text!r}"
        raise UsageError(msg)
    return '"' + text.replace("%", "%%") + '"'


def _setting(option: str) -> str:
    name, _, value = option.partition("=")
    if not re.fullmatch(r"[A-Za-z]+", name) or not value or UNQUOTABLE.search(value):
        msg = f"-o takes NAME=VALUE, as ssh does, not {option!r}"
        raise UsageError(msg)
    return f"{name} {value}"
