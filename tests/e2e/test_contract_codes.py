"""Exit codes and refusals by every way in, as the contract lists them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from broker.postgres.program import find_psql
from tests.fixtures.demo import CLIENT_SECONDS
from tests.fixtures.forward import forwarded_by

if TYPE_CHECKING:
    from tests.fixtures.company import Company

pytestmark = pytest.mark.peer

COMMANDS = [
    ("orders", "SELECT 1", 0),
    ("orders", "SELECT 1/0", 1),
    ("orders", "DROP TABLE customers", 77),
    ("orders", "SELEC 1", 65),
    ("orders", "psql -f /etc/passwd", 64),
    ("orders", r"psql -c '\! ls'", 77),
    ("orders", "COMMENT ON TABLE customers IS 'x'", 75),
    ("down", "SELECT 1", 69),
    ("box", "exit 7", 7),
    ("box", "rm x", 77),
    ("box", "echo 'x", 65),
    ("box", "mkdir x", 75),
    ("cache", "GET a", 0),
    ("cache", "DEL a", 77),
    ("cache", "SET a 1", 75),
    ("say", "hello world", 0),
    ("say", "bye", 77),
    ("gone", "ls", 69),
    ("nosuch", "ls", 77),
    ("broker", "frobnicate", 64),
    ("broker", "show nosuch", 64),
    ("broker", "check nosuch ls", 77),
    ("login", "whoami", 64),
]


@pytest.mark.parametrize(("target", "command", "code"), COMMANDS)
def test_a_command(company: Company, target: str, command: str, code: int) -> None:
    ran = company.engineer.ssh(target, command)
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    if code >= 64:
        assert "interlock: " in ran.stderr
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(("target", "code"), [("web", 5), ("webkey", 5), ("webdown", 69)])
def test_a_command_on_a_machine(company: Company, target: str, code: int) -> None:
    ran = company.engineer.ssh(target, "echo out; exit 5")
    if "no rule lets you reach" in ran.stderr:
        pytest.skip("no sshd on this machine")
    assert ran.returncode == code, ran.stderr


SCRIPTS = [
    ("orders", "SELECT 41 + 1 AS a;\nDROP TABLE x;\nSELECT 43;\n", 77, "42"),
    ("orders", "SELECT 41 + 1 AS a; SELEC", 65, "42"),
    ("orders", "COMMENT ON TABLE customers IS 'x'; SELECT 43", 75, ""),
    ("down", "SELECT 1;", 69, ""),
    ("box", "echo 42\nfalse\n", 1, "42"),
    ("box", "echo 42\nrm x\necho 43\n", 77, "42"),
    ("box", "echo 42\necho 'x\n", 65, "42"),
    ("box", "mkdir x\necho 43\n", 75, ""),
    ("box", "", 0, ""),
    ("cache", "GET 42\nDEL a\nGET 43\n", 77, "GET 42"),
    ("say", "hello 42\nbye\nhello 43\n", 77, "said hello 42"),
    ("gone", "ls\n", 69, ""),
]


@pytest.mark.parametrize(("target", "script", "code", "shown"), SCRIPTS)
def test_a_script_stops_at_its_first_refusal(
    company: Company, target: str, script: str, code: int, shown: str
) -> None:
    ran = company.engineer.ssh(target, given=script)
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    assert shown in ran.stdout
    assert "43" not in ran.stdout


def test_a_forwarded_driver_hears_refusals_as_the_servers_own(company: Company) -> None:
    said = _psql(company, "orders", "SELECT 42", "DROP TABLE x", "SELEC", "SELECT 43")
    assert "42" in said.stdout
    assert "43" in said.stdout
    assert "ERROR:  42501: interlock: denied" in said.stderr
    assert "ERROR:  42601: interlock: not understood" in said.stderr
    assert "interlock: denied by no-ddl: by migration only" in said.stderr
    said = _psql(company, "down", "SELECT 1")
    assert said.returncode == 2
    assert "interlock: down does not answer" in said.stderr


def _psql(company: Company, target: str, *texts: str) -> subprocess.CompletedProcess[str]:
    with forwarded_by(company.engineer.argv, company.engineer.environment, target) as port:
        words = [word for text in texts for word in ("-c", text)]
        base = [str(find_psql()), "-X", "-At", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1"]
        return subprocess.run(
            [*base, "-p", str(port), "-d", "any", "-U", "any", *words],
            capture_output=True,
            text=True,
            timeout=CLIENT_SECONDS,
            env=company.engineer.environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )


DENIAL = {"interlock", "verdict", "rule", "reason", "statement", "digest", "review"}


@pytest.mark.parametrize(
    ("target", "text", "rule"),
    [
        ("orders", "DROP TABLE x", "no-ddl"),
        ("orders", "SELEC", "grammar"),
        ("box", "rm x", "default"),
        ("cache", "DEL x", "default"),
    ],
)
def test_a_denial_as_json(company: Company, target: str, text: str, rule: str) -> None:
    (denial,) = _json_lines(company, target, text)
    assert set(denial) == DENIAL
    assert denial["interlock"] == 1
    assert (denial["verdict"], denial["rule"], denial["review"]) == ("deny", rule, None)
    assert denial["statement"] == text
    assert denial["digest"].startswith("sha256:")
    assert denial["reason"]


@pytest.mark.parametrize(
    ("target", "text"),
    [("orders", "COMMENT ON TABLE customers IS 'y'"), ("box", "mkdir y"), ("cache", "SET y 1")],
)
def test_a_wait_that_expires_as_json(company: Company, target: str, text: str) -> None:
    wait, denial = _json_lines(company, target, text)
    assert set(wait) == DENIAL | {"expires"}
    assert wait["verdict"] == "review"
    assert wait["expires"].endswith("Z")
    assert (denial["verdict"], denial["review"]) == ("deny", wait["review"])
    assert denial["digest"] == wait["digest"]


def _json_lines(company: Company, target: str, text: str) -> list[dict[str, Any]]:
    ran = company.engineer.ssh("-o", "SetEnv=INTERLOCK_FORMAT=json", target, text)
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_a_refusal_says_where_the_statement_is_wrong(company: Company) -> None:
    ran = company.engineer.ssh("orders", "SELECT 1 +")
    assert "(at character 11)" in ran.stderr
    ran = company.engineer.ssh("orders", "SELECT * FRM customers")
    assert "(at character 10)" in ran.stderr


def test_an_unknown_verb_gets_one_short_sentence(company: Company) -> None:
    ran = company.engineer.ssh("broker", "frobnicate")
    assert ran.stderr.startswith("interlock: there is no verb 'frobnicate'. The verbs are: whoami")
    assert "invalid choice" not in ran.stderr


def test_rules_by_issuer_kind_and_claim(company: Company) -> None:
    assert company.agent.ssh("say", "deploy it").stdout == "said deploy it\n"
    assert company.agent.ssh("say", "rollback it").returncode == 77
    assert company.agent.ssh("orders", "SELECT 1").returncode == 0
    assert company.outsider.ssh("orders", "SELECT 1").returncode == 77
    assert company.engineer.ssh("say", "deploy it").returncode == 77


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:localhost:22", "broker"),
        ("-W", "web:22", "broker"),
        ("-W", "169.254.169.254:80", "broker"),
        ("-s", "box", "sftp"),
    ],
)
def test_other_ways_are_refused(company: Company, words: tuple[str, ...]) -> None:
    assert company.engineer.ssh(*words).returncode in {64, 255}


def test_only_the_contracts_environment_gets_through(company: Company) -> None:
    ran = company.engineer.ssh("-A", "-o", "SetEnv=FOO=bar LD_PRELOAD=x.so", "box", "env")
    assert ran.returncode == 0, ran.stderr
    assert "FOO" not in ran.stdout
    assert "LD_PRELOAD" not in ran.stdout
    assert "SSH_AUTH_SOCK" not in ran.stdout
    assert "ORDERS_PASSWORD" not in ran.stdout
