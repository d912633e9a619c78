"""Who gets a certificate, what is in it, and what a stock client needs to use it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pexpect
import pytest

from tests.fixtures.served import Person, interlock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.company import Company

pytestmark = pytest.mark.peer

ANN = {"email": "ann@acme.example", "groups": ["engineers"]}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "another"}, "audience"),
        ({"exp": 1}, "expired"),
        ({"nbf": 2**40}, "nbf"),
        ({"iat": 2**40}, "iat"),
        ({"iss": "http://127.0.0.1:1"}, "issuer"),
        ({"email": None}, "email"),
        ({"email": "root; rm -rf"}, "user name"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(
    company: Company, claims: dict[str, object], why: str
) -> None:
    ran = company.engineer.ssh("login", given=company.corp.token(**(ANN | claims)))
    assert ran.returncode == 77, ran.stderr
    assert ran.stdout == ""
    assert why in ran.stderr


def test_a_token_works_once_and_a_login_takes_nothing_else(company: Company) -> None:
    token = company.corp.token(**ANN)
    assert company.engineer.ssh("login", given=token).returncode == 0
    again = company.engineer.ssh("login", given=token)
    assert (again.returncode, again.stdout) == (77, "")
    assert company.engineer.ssh("login", given="nonsense").returncode == 77
    assert company.engineer.ssh("login", given="").returncode == 64


def test_another_issuers_signature_does_not_count(company: Company) -> None:
    forged = company.ci.token(iss=company.corp.url, **ANN)
    assert company.engineer.ssh("login", given=forged).returncode == 77


def test_the_certificate_is_as_the_contract_says(company: Company) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", company.agent.home / "key-cert.pub"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "user certificate" in shown
    assert 'Key ID: "agent:acme/shop@ci"' in shown
    for principal in ("acme/shop", "group:ci", "group:repo:acme/shop"):
        assert f"                {principal}\n" in shown
    assert "interlock@" in shown
    key = subprocess.run(
        ["ssh-keygen", "-l", "-f", company.agent.home / "key.pub"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[1]
    assert key in shown


def test_whoami_is_as_the_contract_says(company: Company) -> None:
    told = company.agent.json("whoami")
    assert {"identity", "kind", "issuer", "groups", "acting_for", "expires", "targets"} <= set(told)
    assert told["identity"] == "agent:acme/shop@ci"
    assert (told["kind"], told["issuer"]) == ("agent", "ci")
    assert told["groups"] == ["ci", "repo:acme/shop"]
    assert told["acting_for"] == "ann@acme.example"
    assert told["expires"].endswith("Z")
    assert {"orders", "box", "say"} <= {target["name"] for target in told["targets"]}
    assert all(set(target) >= {"name", "kind", "may"} for target in told["targets"])


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_key_that_only_an_agent_holds(
    company: Company, kind: str, tmp_path: Path, ssh_agent: dict[str, str]
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
    subprocess.run(["ssh-add", "-q", key], check=True, env=ssh_agent)
    key.unlink()
    (tmp_path / "key.pub").rename(key)  # what `-i` names is the public half
    person = Person(company.broker, tmp_path)
    certificate = _run(person.argv("login@127.0.0.1"), ssh_agent, company.corp.token(**ANN))
    (tmp_path / "key-cert.pub").write_text(certificate)
    words = ("-o", f"CertificateFile={tmp_path / 'key-cert.pub'}", "orders@127.0.0.1", "SELECT 42")
    assert "42" in _run(person.argv(*words), ssh_agent, "")


@pytest.fixture
def ssh_agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real ssh-agent for one test; gives an environment that leads to it."""
    socket = tmp_path / "agent"
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, text=True
    ) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        yield {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SSH_AUTH_SOCK": str(socket)}
        agent.terminate()


def _run(argv: list[str], environment: dict[str, str], given: str) -> str:
    ran = subprocess.run(
        argv, input=given, capture_output=True, text=True, env=environment, check=False, timeout=30
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_without_a_certificate_a_person_reads_what_to_do(company: Company, tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True
    )
    person = Person(company.broker, tmp_path)
    words = ("-o", "BatchMode=no", "-o", "LogLevel=INFO", "orders@127.0.0.1", "SELECT 1")
    client = pexpect.spawn("ssh", person.argv(*words)[1:], timeout=20, env=person.environment)
    client.expect(pexpect.EOF)
    client.close()
    shown = cast("bytes", client.before)
    assert client.exitstatus == 255
    assert shown.count(b"a certificate for your key is needed here") == 1
    refused = person.ssh("orders", "SELECT 1")
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_a_certificate_of_somebody_else_is_refused_with_a_sentence(
    company: Company, tmp_path: Path
) -> None:
    for name in ("key", "ca"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True
        )
    sign = ("ssh-keygen", "-q", "-s", tmp_path / "ca", "-I", "human:ann@acme.example@corp")
    subprocess.run(
        [*sign, "-n", "ann@acme.example,group:engineers", tmp_path / "key.pub"], check=True
    )
    ran = Person(company.broker, tmp_path).ssh("-o", "LogLevel=INFO", "orders", "SELECT 1")
    assert ran.returncode == 255
    assert "not signed by this broker's CA" in ran.stderr


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ((), "127.0.0.1"),
        ((), "localhost"),
        (("127.0.0.1",), "127.0.0.1"),
        (("localhost",), "localhost"),
        (("127.0.0.1:{port}",), "127.0.0.1"),
        (("[127.0.0.1]:{port}",), "127.0.0.1"),
    ],
)
def test_the_known_hosts_line_is_all_that_a_client_needs(
    company: Company, tmp_path: Path, name: tuple[str, ...], host: str
) -> None:
    words = [word.format(port=company.broker.port) for word in name]
    printed = interlock("keys", "known-hosts", *words, "--state", str(company.broker.state))
    assert printed.stdout.startswith("@cert-authority ")
    (tmp_path / "known_hosts").write_text(printed.stdout)
    known = ("-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}")
    ran = company.engineer.ssh(*known, f"broker@{host}", "pending")
    assert ran.returncode == 0, ran.stderr


def test_the_line_is_printed_without_the_secrets_of_the_service(company: Company) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "broker", "keys", "known-hosts", "--config", company.broker.file],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("@cert-authority * ssh-ed25519 ")
