"""`interlock login`: a certificate, a block in ssh_config, and an ssh that renews by itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.e2e.certified import ANN, NAME, Ran, door, forge, make_key
from tests.e2e.test_certificates import OURS
from tests.e2e.test_device_login import Door as Office

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.certified import Door
    from tests.fixtures.oidc_provider import CertifiedProvider

pytestmark = pytest.mark.peer

INTERLOCK = str(Path(sys.executable).with_name("interlock"))
SECONDS = 30


async def ran(at: Door, *argv: str, given: bytes | None = None) -> Ran:
    """A program of somebody without a terminal."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(at.folder)},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate(given)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return Ran(process.returncode or 0, out.decode(), err.decode())


def words(at: Door, *more: str) -> list[str]:
    known = f"UserKnownHostsFile={at.folder / 'known_hosts'}"
    asked = ["-o", known, "-o", "IdentityAgent=none", "--config", str(at.folder / "config")]
    return [INTERLOCK, "login", *asked, *more, f"127.0.0.1:{at.broker.port}"]


async def whoami(at: Door) -> Ran:
    config = str(at.folder / "config")
    return await ran(at, "ssh", "-F", config, "broker@127.0.0.1", "whoami", "--json")


def fresh(at: Door) -> str:
    """A file with a token that nobody has used, as a platform keeps it up to date."""
    file = at.folder / "token"
    file.write_text(at.issuer.token(ANN))
    return str(file)


def made(at: Door, name: str = ".ssh/id_ed25519-cert.pub") -> Path:
    return at.folder / name


async def test_a_token_gives_a_certificate_and_then_plain_ssh_works(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        login = await ran(at, *words(at, "--token", fresh(at)))
        assert login.code == 0, login.err
        assert login.out == ""
        assert f"made a new key, without a passphrase: {tmp_path}/.ssh/id_ed25519" in login.err
        assert f"you are human:{NAME}@corp" in login.err
        assert made(at).stat().st_mode & 0o777 == 0o644
        assert made(at, ".ssh").stat().st_mode & 0o777 == 0o700
        told = await whoami(at)
        assert told.code == 0, told.err
        assert json.loads(told.out)["identity"] == f"human:{NAME}@corp"
        assert told.err == "", "silent while the certificate is good"
        left = {one.name for one in made(at).parent.iterdir()}
        assert left == {"id_ed25519", "id_ed25519.pub", "id_ed25519-cert.pub"}, "no draft"


async def test_the_next_ssh_renews_what_has_ended_and_needs_nothing_else(tmp_path: Path) -> None:
    async with door(tmp_path, issuer="ttl: 9s") as at:
        assert (await ran(at, *words(at, "--token", fresh(at)))).code == 0
        first = made(at).read_text()
        async with asyncio.timeout(SECONDS):
            while made(at).read_text() == first:
                fresh(at)
                told = await whoami(at)
                assert told.code == 0, told.err
        forge(tmp_path / OURS, tmp_path / ".ssh" / "id_ed25519", "-V", "-2h:-1h")
        old = made(at).read_text()
        fresh(at)
        assert (await whoami(at)).code == 0
        assert made(at).read_text() != old
    assert len(at.events("login.granted")) >= 2
    assert [one["why"] for one in at.events("login.refused")] == []


async def test_a_good_certificate_is_left_alone_without_a_word_to_the_broker(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        assert (await ran(at, *words(at, "--token", fresh(at)))).code == 0
    renewed = await ran(at, *words(at, "--renew"))
    assert renewed == Ran(0, "", "")


async def test_many_ssh_at_once_renew_once(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        assert (await ran(at, *words(at, "--token", fresh(at)))).code == 0
        made(at).unlink()
        fresh(at)  # good for one login
        async with asyncio.TaskGroup() as tasks:
            all_of_them = [tasks.create_task(whoami(at)) for _ in range(4)]
        assert [one.result().code for one in all_of_them] == [0] * 4
    assert len(at.events("login.granted")) == 2


async def test_a_piped_token_and_a_key_of_ones_own(tmp_path: Path) -> None:
    key = make_key(tmp_path, "id", "-t", "ecdsa")
    async with door(tmp_path) as at:
        token = at.issuer.token(ANN).encode()
        login = await ran(at, *words(at, "--key", str(tmp_path / key)), given=token)
        assert login.code == 0, login.err
        assert (await whoami(at)).code == 0
        assert not made(at, ".ssh").exists()


async def test_without_a_terminal_an_ended_certificate_is_a_sentence_at_once(
    tmp_path: Path,
) -> None:
    async with door(tmp_path) as at:
        assert (await ran(at, *words(at), given=at.issuer.token(ANN).encode())).code == 0
        made(at).unlink()
        told = await whoami(at)
        assert told.code == 255
        assert "there is no terminal to log in from; run: interlock login 127.0.0.1:" in told.err
        assert "Permission denied" in told.err


async def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        token = fresh(at)
        assert (await ran(at, *words(at, "--token", token))).code == 0
        before = made(at).read_bytes()
        used = await ran(at, *words(at, "--token", token))
        assert used.code == 77
        assert "interlock: the token was used already; get a new one\n" in used.err
        (tmp_path / "token").write_text("\n")
        empty = await ran(at, *words(at, "--token", token))
        assert (empty.code, empty.out) == (64, "")
        assert empty.err == f"interlock: there is no ID token in {token}: it is empty\n"
        piped = await ran(at, *words(at), given=b"")
        assert piped.code == 64
        assert "there is no ID token in standard input: it is empty" in piped.err
        (tmp_path / "known_hosts").write_text("")
        stranger = await ran(at, *words(at, "--token", fresh(at)))
        assert stranger.code == 77
        assert "Host key verification failed." in stranger.err
        assert made(at).read_bytes() == before
    down = await ran(at, *words(at, "--token", fresh(at)))
    assert down.code == 69
    assert made(at).read_bytes() == before


async def test_somebody_elses_certificate_is_not_overwritten(tmp_path: Path) -> None:
    key, ca = make_key(tmp_path, "id"), make_key(tmp_path, "ca")
    forge(tmp_path / ca, tmp_path / key, said={})
    before = (tmp_path / "id-cert.pub").read_bytes()
    async with door(tmp_path) as at:
        login = await ran(at, *words(at, "--key", str(tmp_path / key), "--token", fresh(at)))
        assert login.code == 64
        assert "is not from a broker like this; use another key: --key FILE" in login.err
    assert (tmp_path / "id-cert.pub").read_bytes() == before


# -- people ------------------------------------------------------------------------------------


@pytest.fixture
def office(tmp_path: Path, certified_provider: CertifiedProvider) -> Iterator[Office]:
    """A broker whose people log in at a certified provider."""
    opened = Office(tmp_path, certified_provider.url)
    try:
        yield opened
    finally:
        opened.stop()


def at_a_terminal(office: Office, *argv: str) -> pexpect.spawn[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(office.folder), "TERM": "xterm"}
    return pexpect.spawn(
        argv[0], list(argv[1:]), timeout=SECONDS, encoding="utf-8", env=environment
    )


def person(office: Office) -> list[str]:
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentityAgent=none"]
    asked = [word for option in options for word in ("-o", option)]
    asked += ["--config", str(office.folder / "config"), "--key", str(office.key)]
    return [INTERLOCK, "login", *asked, f"127.0.0.1:{office.port}"]


def use_code(client: pexpect.spawn[str], provider: CertifiedProvider) -> None:
    client.expect(r"http\S+user_code=\S+")
    asyncio.run(provider.approve(str(client.after), "alice"))


def end(client: pexpect.spawn[str]) -> tuple[int | None, str]:
    client.expect(pexpect.EOF)
    shown = str(client.before)
    client.close()
    return client.exitstatus, shown


def test_a_person_logs_in_by_browser_and_ssh_asks_again_by_itself(
    office: Office, certified_provider: CertifiedProvider
) -> None:
    client = at_a_terminal(office, *person(office))
    use_code(client, certified_provider)
    code, shown = end(client)
    assert code == 0, shown
    assert "you are human:alice@example.com@corp" in shown
    assert "closed" not in shown
    ssh = ["ssh", "-F", str(office.folder / "config"), "broker@127.0.0.1", "whoami"]
    code, shown = end(at_a_terminal(office, *ssh))
    assert code == 0, shown
    assert "user_code" not in shown
    office.certificate.unlink()
    client = at_a_terminal(office, *ssh)
    use_code(client, certified_provider)
    code, shown = end(client)
    assert code == 0, shown
    assert "alice@example.com" in shown.rpartition("you are")[2]
    listed = subprocess.run(
        ["ssh-keygen", "-L", "-f", office.certificate], capture_output=True, text=True, check=True
    )
    assert 'Key ID: "human:alice@example.com@corp"' in listed.stdout


def test_the_code_is_shown_even_when_standard_error_leads_elsewhere(
    office: Office, certified_provider: CertifiedProvider
) -> None:
    client = at_a_terminal(office, *person(office), "--issuer", "corp")
    use_code(client, certified_provider)
    assert end(client)[0] == 0
    assert " --issuer corp " in (office.folder / "config").read_text()
    office.certificate.unlink()
    command = f"ssh -F {office.folder / 'config'} broker@127.0.0.1 whoami 2>/dev/null"
    client = at_a_terminal(office, "sh", "-c", command)
    use_code(client, certified_provider)
    assert end(client)[0] == 0


def test_ctrl_c_leaves_everything_as_it_was(office: Office) -> None:
    client = at_a_terminal(office, *person(office))
    client.expect(r"Ctrl-C gives up\.")
    client.sendintr()
    code, shown = end(client)
    assert code == 130
    assert "interlock: the login was given up; nothing was changed" in shown
    assert "Traceback" not in shown
    assert not office.certificate.exists()
    assert not (office.folder / "config").exists()
