"""A real OpenSSH server: only the one that was pinned, only with what was given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncssh
import pytest

from broker.errors import TargetUnreachable
from broker.shell.ssh_target import SshRunner, key_file
from broker.targets import SshTarget
from tests.broker.shell.test_runners import Taken, run
from tests.fixtures.sshd import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.sshd import Sshd

pytestmark = pytest.mark.peer


def target(sshd: Sshd) -> SshTarget:
    return SshTarget("web1", "127.0.0.1", sshd.port, sshd.user, (sshd.host_key,))


async def refused(given: SshTarget, key: Path) -> str:
    runner = SshRunner(given, key_file(key))
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
    runner = SshRunner(given, key_file(sshd.key))
    assert await run(runner, "exit 4") == 4
    await runner.close()


async def test_an_authority_that_did_not_sign_the_host_key_is_no_help(sshd: Sshd) -> None:
    given = replace(target(sshd), host_keys=(), host_cas=(sshd.host_key,))
    assert "host key" in await refused(given, sshd.key)


async def test_a_refused_key_is_told_without_the_key(sshd: Sshd, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "other")
    assert await refused(target(sshd), tmp_path / "other") == (
        "target web1 refuses our key or certificate"
    )


async def test_nobody_answers(sshd: Sshd) -> None:
    given = replace(target(sshd), port=free_port())
    assert await refused(given, sshd.key) == "target web1 does not answer"


async def test_a_missing_key_file_is_told(sshd: Sshd, tmp_path: Path) -> None:
    assert "cannot be read" in await refused(target(sshd), tmp_path / "none")


async def test_a_certificate_for_the_session_opens_it(sshd: Sshd) -> None:
    authority = asyncssh.read_private_key(sshd.user_ca)
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(key, "s1", principals=[sshd.user])
    runner = SshRunner(target(sshd), lambda: [(key, certificate)])
    assert await run(runner, "exit 7") == 7
    await runner.close()


async def test_one_connection_serves_all_lines_of_a_session(sshd: Sshd) -> None:
    runner = SshRunner(target(sshd), key_file(sshd.key))
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
    runner = SshRunner(target(sshd), key_file(sshd.key))
    with pytest.raises(TargetUnreachable, match="was lost"):
        await run(runner, "kill -KILL $PPID; sleep 60")
    assert await run(runner, "exit 3") == 3
    await runner.close()
