"""The front door with the stock ssh: who gets in, where to, and what the others are told."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer


def keygen(*words: str) -> str:
    return subprocess.run(["ssh-keygen", *words], capture_output=True, text=True, check=True).stdout


def test_a_token_gives_a_certificate_for_the_key_that_authenticated(demo: Demo) -> None:
    demo.ssh("broker@engineer", "whoami")  # the configuration logs in by itself
    shown = keygen("-L", "-f", str(demo.folder / "engineer-cert.pub"))
    key = keygen("-l", "-f", str(demo.folder / "engineer.pub")).split()[1]
    assert "user certificate" in shown
    assert key in shown
    assert 'Key ID: "human:alice@example.com@corp"' in shown
    assert "group:engineers" in shown
    assert "interlock@" in shown
    assert "permit-agent-forwarding" not in shown


def test_a_token_works_once(demo: Demo) -> None:
    token = (demo.folder / "auditor.token").read_text()
    login = ["ssh", "-F", str(demo.folder / "login_config"), "login@auditor"]

    def log_in() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            login, input=token, capture_output=True, text=True, env=demo.environment, check=False
        )

    log_in()
    second = log_in()
    assert second.returncode == 77
    assert second.stdout == ""
    assert "used already" in second.stderr
    assert token.strip() not in second.stderr


@pytest.mark.parametrize(
    ("given", "code"),
    [("", 64), ("not a token", 77), ("a.b.c", 77), ("x" * 40000, 64)],
    ids=["nothing", "garbage", "three parts", "too long"],
)
def test_anything_but_a_token_gives_a_sentence(demo: Demo, given: str, code: int) -> None:
    ran = subprocess.run(
        ["ssh", "-F", str(demo.folder / "login_config"), "login@agent"],
        input=given,
        capture_output=True,
        text=True,
        env=demo.environment,
        check=False,
    )
    assert ran.returncode == code
    assert ran.stdout == ""
    assert "\ninterlock: " in "\n" + ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_plain_key_is_not_enough_for_a_target(demo: Demo) -> None:
    key = demo.folder / "stranger"
    keygen("-q", "-t", "ed25519", "-N", "", "-f", str(key))
    lines = (demo.folder / "login_config").read_text().replace(f"{demo.folder}/agent", str(key))
    config = demo.folder / "stranger_config"
    config.write_text(lines)
    ran = subprocess.run(
        ["ssh", "-F", str(config), "orders@agent", "SELECT 1"],
        capture_output=True,
        text=True,
        env=demo.environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert ran.returncode == 255
    assert "Permission denied" in ran.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("nowhere@agent", "ls"), 77, "no rule lets you reach 'nowhere'. Your targets: "),
        (("orders@approver", "SELECT 1"), 77, "no rule lets you reach 'orders'. Your targets: "),
        (("-s", "orders@agent", "sftp"), 64, "no file transfer"),
        (("broker@agent", "frobnicate"), 64, "The verbs are"),
        (("broker@agent",), 64, "say what you want"),
        (("approvals@approver",), 64, "needs a terminal"),
        (("broker@agent", "show zzzz"), 64, "there is no review"),
        (("broker@agent", "play zzzz"), 64, "there is no session"),
        (("broker@agent", "check nowhere 'SELECT 1'"), 77, "no rule lets you reach 'nowhere'"),
        (("orders@agent", "SELEC 1"), 65, "not understood"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(
    demo: Demo, words: tuple[str, ...], code: int, sentence: str
) -> None:
    ran = demo.ssh(*words)
    assert ran.returncode == code, ran.stderr
    assert sentence in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "example.invalid", "box", "nowhere"])
def test_forwarding_goes_to_databases_by_name_alone(demo: Demo, host: str) -> None:
    ran = demo.ssh("-v", "-W", f"{host}:22", "broker@agent")
    assert ran.returncode == 255
    assert "forwarding goes to" in ran.stderr or "no database" in ran.stderr


def test_remote_forwarding_is_refused(demo: Demo) -> None:
    ran = demo.ssh("-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:22", "broker@agent")
    assert ran.returncode == 255
    assert "remote port forwarding failed" in ran.stderr


def test_the_stock_client_gets_aes_gcm_and_a_host_certificate(demo: Demo) -> None:
    ran = demo.ssh("-v", "-o", "LogLevel=DEBUG1", "broker@agent", "whoami")
    assert re.search(r"server->client cipher: aes\d+-gcm@openssh.com", ran.stderr)
    assert "Server host certificate: ssh-ed25519-cert-v01@openssh.com" in ran.stderr


def test_whoami_says_what_an_agent_may_do(demo: Demo) -> None:
    told = demo.json("broker@agent", "whoami --json")
    assert told["identity"] == "agent:acme/shop@ci"
    assert told["kind"] == "agent"
    assert told["acting_for"] == "alice@example.com"
    assert told["groups"] == ["ci", "repo:acme/shop"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["expires"])
    assert {target["name"] for target in told["targets"]} >= {"orders", "box"}
    assert demo.json("broker@agent", "targets --json") == told["targets"]


@pytest.mark.parametrize(
    ("target", "statement", "verdict", "rule"),
    [
        ("orders", "SELECT * FROM customers", "allow", "agents-read"),
        ("orders", "DELETE FROM refunds WHERE id = 1", "review", "writes-need-two-eyes"),
        ("orders", "DELETE FROM refunds", "deny", "no-unbounded-writes"),
        ("orders", "DROP TABLE refunds", "deny", "no-ddl"),
        ("box", "ls -l /tmp", "allow", "look-around"),
        ("box", "rm -rf /", "deny", "default"),
    ],
)
def test_check_judges_without_running(
    demo: Demo, target: str, statement: str, verdict: str, rule: str
) -> None:
    told = demo.json("broker@agent", f"check --json {target} '{statement}'")
    assert (told["verdict"], told["rule"]) == (verdict, rule)
    given = demo.ssh("broker@agent", f"check --json {target}", given=statement + "\n")
    assert json.loads(given.stdout) == told
    assert not demo.database_saw("DROP TABLE")


def test_channels_of_one_connection_share_nothing(demo: Demo) -> None:
    path = demo.folder / "cm"
    master = ("-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", "ControlPersist=20")
    first = demo.ssh(*master, "orders@agent", "DROP TABLE refunds")
    second = demo.ssh(*master, "orders@agent", "SELECT 1 AS one")
    demo.ssh("-o", f"ControlPath={path}", "-O", "exit", "orders@agent")
    assert first.returncode == 77
    assert second.returncode == 0
    sessions = demo.json("broker@auditor", "sessions --json")[:2]
    assert sessions[0]["id"] != sessions[1]["id"]
