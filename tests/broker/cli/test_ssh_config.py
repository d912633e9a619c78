"""The block says what it must, replaces itself, and leaves the rest of the file alone."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.cli.ssh_config import Block, _with, install
from broker.errors import UsageError

KEY = Path("/home/ann/.ssh/id_ed25519")
BLOCK = Block(
    "broker.example.com",
    2222,
    KEY,
    KEY.with_name("id_ed25519-cert.pub"),
    ["true"],
    ("ProxyJump=bastion",),
)


def seen_by_ssh(file: Path, where: str) -> dict[str, str]:
    """What ssh itself makes of the file."""
    ran = subprocess.run(
        ["ssh", "-G", "-F", file, where], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " " in line)


@pytest.mark.peer
def test_ssh_reads_it_as_it_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "config"
    ran = tmp_path / "its 100%"
    block = replace(
        BLOCK,
        renew=["touch", str(ran)],
        key=tmp_path / "a key 5%",
        certificate=tmp_path / "a key 5%-cert.pub",
    )
    file.write_text("Host other\n  Port 7\n")
    assert install(block, file)
    with file.open("a") as more:
        more.write("Compression yes\n")
    told = seen_by_ssh(file, "broker@broker.example.com")
    assert (told["port"], told["proxyjump"], told["identitiesonly"]) == ("2222", "bastion", "yes")
    assert told["identityfile"] == str(tmp_path / "a key 5%%")
    assert told["certificatefile"] == str(tmp_path / "a key 5%%-cert.pub")
    assert ran.exists()
    ran.unlink()
    seen_by_ssh(file, "login@broker.example.com")
    assert not ran.exists(), "a login does not renew: that would never end"
    other = seen_by_ssh(file, "other")
    assert not ran.exists()
    assert (other["port"], other["compression"]) == ("7", "yes")
    assert "proxyjump" not in other


def test_installed_twice_it_is_there_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config"
    assert install(BLOCK, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not install(BLOCK, file)
    assert install(replace(BLOCK, port=22), file)
    assert file.read_text() == str(replace(BLOCK, port=22))


def test_a_linked_file_stays_a_link_and_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles", tmp_path / "config"
    real.write_text("Host x")
    real.chmod(0o640)
    link.symlink_to(real)
    install(BLOCK, link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_text() == f"Host x\n\n{BLOCK}"


LINES = st.lists(st.sampled_from(["Host a", "  Port 7", "", "# note", "Match all"]), max_size=6)


@given(LINES, LINES)
def test_what_is_around_it_keeps_its_place(before: list[str], after: list[str]) -> None:
    other = replace(BLOCK, host="other.example.com")
    first = "".join(f"{line}\n" for line in before)
    text = first + str(BLOCK) + str(other) + "".join(f"{line}\n" for line in after)
    changed = _with(replace(BLOCK, port=1), text)
    assert changed == text.replace(str(BLOCK), str(replace(BLOCK, port=1)))
    assert _with(BLOCK, changed) == text


@pytest.mark.parametrize(
    "change",
    [
        {"key": Path('/home/a"b')},
        {"key": Path("/home/a\nProxyCommand=x")},
        {"renew": ["run", "a\\b"]},
        {"options": ("ProxyJump",)},
        {"options": ("Proxy Jump=x",)},
        {"options": ("ProxyJump=x\nPort 1",)},
    ],
)
def test_what_ssh_config_cannot_hold_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        str(replace(BLOCK, **change))  # type: ignore[arg-type]
