from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import asyncssh
import pytest

from broker.errors import IdentityRefused, InterlockError
from broker.identity.authority import Authority
from tests.broker.identity.samples import ANN, NOW, ssh_key

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("user_ca", "host_ca", "host_key", "target_ca")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def publics(authority: Authority) -> list[bytes]:
    return [getattr(authority, name).public_data for name in NAMES]


def test_the_first_start_makes_the_keys_and_the_next_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "keys"
    first = Authority.open(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*NAMES, *(f"{name}.pub" for name in NAMES)]
    )
    assert mode(folder) == 0o700
    assert all(mode(folder / name) == 0o600 for name in NAMES)
    assert publics(Authority.open(folder)) == publics(first)
    assert len(set(publics(first))) == 4
    for name in NAMES:
        assert asyncssh.read_private_key(folder / name).get_algorithm() == "ssh-ed25519"
        public = asyncssh.read_public_key(folder / f"{name}.pub")
        assert public.public_data == getattr(first, name).public_data


def test_two_starts_at_once_agree(tmp_path: Path) -> None:
    starts = 4
    together = Barrier(starts)

    def start(_: int) -> list[bytes]:
        together.wait(10)
        return publics(Authority.open(tmp_path / "keys"))

    with ThreadPoolExecutor(starts) as pool:
        results = list(pool.map(start, range(starts)))
    assert all(result == results[0] for result in results)
    assert not [path for path in (tmp_path / "keys").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, loose: int) -> None:
    Authority.open(tmp_path / "keys")
    (tmp_path / "keys" / "user_ca").chmod(loose)
    with pytest.raises(InterlockError, match=rf"mode {loose:04o}\); chmod 600 "):
        Authority.open(tmp_path / "keys")


@pytest.mark.parametrize("loose", [0o770, 0o702, 0o777])
def test_a_directory_that_others_can_write_is_refused(tmp_path: Path, loose: int) -> None:
    Authority.open(tmp_path / "keys")
    (tmp_path / "keys").chmod(loose)
    with pytest.raises(InterlockError, match="chmod 700 "):
        Authority.open(tmp_path / "keys")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    Authority.open(tmp_path / "keys")
    os.chown(tmp_path / "keys" / "host_ca", 65534, 65534)
    with pytest.raises(InterlockError, match="belongs to another user"):
        Authority.open(tmp_path / "keys")


def test_files_that_are_not_keys(tmp_path: Path) -> None:
    Authority.open(tmp_path / "keys")
    file = tmp_path / "keys" / "target_ca"
    file.write_text("not a key")
    with pytest.raises(InterlockError, match="target_ca is not a private key without passphrase"):
        Authority.open(tmp_path / "keys")
    file.write_bytes(ssh_key().export_private_key("openssh", passphrase="x", rounds=50))
    with pytest.raises(InterlockError, match="without passphrase"):
        Authority.open(tmp_path / "keys")


def test_a_public_key_must_belong_to_its_private_key(tmp_path: Path) -> None:
    Authority.open(tmp_path / "keys")
    ssh_key(name="x").write_public_key(tmp_path / "keys" / "host_ca.pub")
    with pytest.raises(InterlockError, match=r"host_ca\.pub does not belong to"):
        Authority.open(tmp_path / "keys")
    (tmp_path / "keys" / "host_ca.pub").unlink()
    Authority.open(tmp_path / "keys")


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InterlockError, match="cannot make or read the keys"):
        Authority.open(tmp_path / "file" / "keys")


def test_what_it_grants_it_reads_back(tmp_path: Path) -> None:
    authority, key = Authority.open(tmp_path), ssh_key(name="ann")
    now = NOW + timedelta(microseconds=5)
    line, signed = authority.grant(key, ANN, ttl=timedelta(minutes=10), now=now)
    assert authority.read(asyncssh.import_certificate(line), NOW, None) == signed
    assert signed.expires == NOW + timedelta(minutes=10)
    assert signed.serial != authority.grant(key, ANN, ttl=timedelta(hours=1), now=NOW)[1].serial
    assert "Authority object" in repr(authority)


def test_no_other_key_of_ours_makes_people(tmp_path: Path) -> None:
    authority, key = Authority.open(tmp_path), ssh_key(name="ann")
    line, _ = authority.grant(
        key, ANN, ttl=timedelta(minutes=10), now=NOW, source_address="10.0.0.1"
    )
    with pytest.raises(IdentityRefused, match="source address"):
        authority.read(asyncssh.import_certificate(line), NOW, "10.0.0.2")
    target = authority.target_certificate(key, user="u", identity=ANN, session="s", now=NOW)
    for other in (target, authority.host_certificate(NOW, ["*"])):
        with pytest.raises(IdentityRefused, match="not signed by this broker's CA"):
            authority.read(asyncssh.import_certificate(other), NOW, None)


def test_known_hosts_lines(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    key = " ".join((tmp_path / "host_ca.pub").read_text().split()[:2])
    assert authority.known_hosts_line() == f"@cert-authority * {key}"
    assert authority.known_hosts_line(port=2222) == f"@cert-authority * {key}"
    assert authority.known_hosts_line("b.example.com") == f"@cert-authority b.example.com {key}"
    assert authority.known_hosts_line("b", 2222) == f"@cert-authority [b]:2222 {key}"


def any_name() -> tuple[str, ...]:
    """How the ssh on this machine wants a host certificate for any name."""
    said = subprocess.run(["ssh", "-V"], check=True, capture_output=True, text=True).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said)
    assert found is not None
    return ("*",) if (int(found[1]), int(found[2])) >= (10, 3) else ()


ANY_NAME = any_name()


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "names", "code"),
    [
        ("*", ("127.0.0.1",), 0),
        ("127.0.0.1", ("x", "127.0.0.1", "*"), 0),
        ("*", ANY_NAME, 0),
        ("other.example", ("127.0.0.1",), 255),
        ("*", ("other.example",), 255),
    ],
)
async def test_stock_ssh_trusts_the_host_by_that_line(
    tmp_path: Path, name: str, names: tuple[str, ...], code: int
) -> None:
    authority = Authority.open(tmp_path / "keys")
    now = datetime.now(UTC)
    certificate = asyncssh.import_certificate(authority.host_certificate(now, names))
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Anybody,
        server_host_keys=[(authority.host_key, certificate)],
        process_factory=lambda process: process.exit(0),
        config=None,
    )
    async with server:
        port = server.get_port()
        known = tmp_path / "known_hosts"
        known.write_text(authority.known_hosts_line(name, port) + "\n")
        options = [f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null"]
        options += ["StrictHostKeyChecking=yes", "BatchMode=yes", "LogLevel=ERROR"]
        command = ["ssh", "-F", "none", "-p", str(port)]
        command += [word for option in options for word in ("-o", option)]
        client = await asyncio.create_subprocess_exec(
            *command,
            "x@127.0.0.1",
            "true",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(client.communicate(), 20)
    assert client.returncode == code, said
