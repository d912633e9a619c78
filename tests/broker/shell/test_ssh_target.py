"""A real OpenSSH server: only the one that was pinned, only with what was given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncssh
import pytest

from broker.errors import TargetUnreachable
from broker.shell.credentials import Credentials
from broker.shell.ssh_target import SshRunner
from broker.targets import SecretSource, SshTarget
from tests.broker.shell.test_runners import Taken, by_key, run
from tests.fixtures.sshd import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.fixtures.sshd import Sshd

pytestmark = pytest.mark.peer


def target(sshd: Sshd) -> SshTarget:
    return SshTarget("web1", "127.0.0.1", sshd.port, sshd.user, (sshd.host_key,), key=sshd.key)


async def refused(given: SshTarget, key: Path) -> str:
    runner = by_key(replace(given, key=key))
    with pytest.raises(TargetUnreachable) as error:
        await run(runner, "id")
    await runner.close()
    return str(error.value)


async def test_another_host_key_is_never_trusted(sshd: Sshd) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    given = replace(target(sshd), host_keys=(other,))
    assert "host key" in await refused(given, sshd.key)


async def test_a_target_without_a_pinned_key_is_not_asked(sshd: Sshd) -> None:
    assert "host key" in await refused(replace(target(sshd), host_keys=()), sshd.key)


async def test_a_host_certificate_of_the_configured_authority_is_enough(sshd: Sshd) -> None:
    given = replace(target(sshd), host_keys=(), host_cas=(sshd.host_ca,))
    runner = by_key(given)
    assert await run(runner, "exit 4") == 4
    await runner.close()


async def test_an_authority_that_did_not_sign_the_host_key_is_no_help(sshd: Sshd) -> None:
    given = replace(target(sshd), host_keys=(), host_cas=(sshd.host_key,))
    assert await refused(given, sshd.key) == (
        "target web1 shows a host certificate of an authority that is not configured"
    )


async def test_a_refused_key_is_told_without_the_key(sshd: Sshd, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "other")
    assert await refused(target(sshd), tmp_path / "other") == (
        f"target web1 refuses our key for {sshd.user}"
    )


async def test_nobody_answers(sshd: Sshd) -> None:
    given = replace(target(sshd), port=free_port())
    assert await refused(given, sshd.key) == "target web1 does not answer"


async def test_a_missing_key_file_is_told(sshd: Sshd, tmp_path: Path) -> None:
    assert "cannot be read" in await refused(target(sshd), tmp_path / "none")


def certified(sshd: Sshd, given: SshTarget, asked: list[tuple[str, ...]]) -> SshRunner:
    authority = asyncssh.read_private_key(sshd.user_ca)

    def certify(key: asyncssh.SSHKey, sources: Sequence[str]) -> bytes:
        asked.append(tuple(sources))
        certificate = authority.generate_user_certificate(
            key,
            f"session {len(asked)}",
            principals=[sshd.user],
            source_address=list(sources) or None,
        )
        return certificate.export_certificate()

    return SshRunner(given, Credentials(given, lambda _: "", certify))


async def test_a_certificate_for_the_session_opens_it_from_here_alone(sshd: Sshd) -> None:
    asked: list[tuple[str, ...]] = []
    runner = certified(sshd, replace(target(sshd), key=None), asked)
    assert await run(runner, "exit 7") == 7
    await runner.close()
    assert asked == [("127.0.0.1",)]
    assert "session 1" in sshd.log.read_text()


@pytest.mark.parametrize(
    ("configured", "code"), [(("any",), 7), (("127.0.0.0/8",), 7), (("192.0.2.1",), None)]
)
async def test_a_configured_source_address_is_the_certificates(
    sshd: Sshd, configured: tuple[str, ...], code: int | None
) -> None:
    given = replace(target(sshd), key=None, source_address=configured)
    runner = certified(sshd, given, [])
    if code is None:
        with pytest.raises(TargetUnreachable, match="refuses our certificate"):
            await run(runner, "exit 7")
    else:
        assert await run(runner, "exit 7") == code
    await runner.close()


async def test_a_key_with_a_passphrase_is_opened_by_its_secret(sshd: Sshd, tmp_path: Path) -> None:
    key = asyncssh.read_private_key(sshd.key)
    file = tmp_path / "locked"
    key.write_private_key(file, passphrase="open sesame")
    given = replace(target(sshd), key=file, passphrase=SecretSource(env="X"))
    runner = SshRunner(given, Credentials(given, lambda _: "open sesame", lambda _k, _f: b""))
    assert await run(runner, "exit 5") == 5
    await runner.close()
    runner = SshRunner(given, Credentials(given, lambda _: "wrong one", lambda _k, _f: b""))
    with pytest.raises(TargetUnreachable, match="its passphrase is another one") as error:
        await run(runner, "exit 5")
    assert "wrong one" not in str(error.value)


class Asking(asyncssh.SSHServer):
    """An SSH server that wants a password, by the method that it is told."""

    def __init__(self, method: str, seen: list[str]) -> None:
        self._method, self._seen = method, seen

    def password_auth_supported(self) -> bool:
        return self._method == "password"

    def validate_password(self, username: str, password: str) -> bool:
        self._seen.append(password)
        return password == "new"

    def kbdint_auth_supported(self) -> bool:
        return self._method == "questions"

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [("Password:", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return self.validate_password(username, responses[0])


@pytest.mark.parametrize("method", ["password", "questions"])
async def test_a_password_is_read_anew_for_each_connection_and_shown_once(method: str) -> None:
    secrets = ["old", "new"]
    seen: list[str] = []
    key = asyncssh.generate_private_key("ssh-ed25519")

    def answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: Asking(method, seen),
        server_host_keys=[key],
        process_factory=answer,
        encoding=None,
    )
    async with server:
        pinned = key.export_public_key().decode().strip()
        given = SshTarget(
            *("web1", "127.0.0.1", server.get_port(), "deploy", (pinned,)),
            password=SecretSource(env="X"),
        )
        runner = SshRunner(given, Credentials(given, lambda _: secrets.pop(0), lambda _k, _f: b""))
        with pytest.raises(TargetUnreachable) as error:
            await run(runner, "true")
        assert str(error.value) == "target web1 refuses our password for deploy"
        with pytest.raises(TargetUnreachable, match="not a POSIX shell"):  # it was let in
            await run(runner, "true")
        await runner.close()
    assert seen == ["old", "new"]


async def test_one_connection_serves_all_lines_of_a_session(sshd: Sshd) -> None:
    runner = by_key(target(sshd))
    before = sshd.log.read_text().count("Accepted publickey")
    async with asyncio.TaskGroup() as group:
        group.create_task(run(runner, "true"))
    for _ in range(3):
        out = Taken()
        await run(runner, "echo x", stdout=out)
        assert out.data == b"x\n"
    assert sshd.log.read_text().count("Accepted publickey") == before + 1
    await runner.close()


async def test_a_connection_that_broke_is_told_and_made_again(sshd: Sshd) -> None:
    runner = by_key(target(sshd))
    with pytest.raises(TargetUnreachable, match="was lost"):
        await run(runner, "kill -KILL $PPID; sleep 60")
    errors = Taken()
    assert await run(runner, "exit 3", stderr=errors) == 3
    assert errors.data == b"interlock: the connection to the target was lost, and made again\n"
    errors = Taken()
    assert await run(runner, "exit 4", stderr=errors) == 4
    assert errors.data == b""
    await runner.close()
