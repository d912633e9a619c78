"""Starting and stopping as an operator does, and what the commands say of a configuration."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.oidc import provider
from tests.fixtures.served import issuers, serving, until

if TYPE_CHECKING:
    from tests.fixtures.company import Company

pytestmark = pytest.mark.peer

SAMPLE = """\
listen: 0.0.0.0:2222
state: STATE
store: sqlite
issuers:
  - name: github
    issuer: https://token.actions.githubusercontent.com
    audience: interlock
    kind: agent
    user: "{repository}"
    groups: ["ci", "repo:{repository}"]
    acting_for: "{actor}"
    require: {repository_owner: acme}
    keep: [run_id, workflow_ref, ref]
    ttl: 10m
  - name: corp
    issuer: https://id.acme.example
    audience: interlock
    client_id: interlock-cli
    kind: human
    user: "{email}"
    groups_claim: groups
targets:
  orders:
    kind: postgres
    dsn: postgresql://app@db.internal:5432/orders?sslmode=verify-full
    password: {env: ORDERS_PASSWORD}
  web1:
    kind: ssh
    host: web1.internal
    user: deploy
    host_key: "ssh-ed25519 AAAA..."
  cache:
    kind: command
    argv: [redis-cli, -h, cache.internal]
rules:
  - name: agents-read
    who: [group:ci]
    targets: [orders]
    allow: {actions: [select, explain], tables: ["public.*"], max_rows: 10000}
  - name: writes-need-two-eyes
    who: [group:engineers, group:ci]
    targets: [orders]
    review: {actions: [insert, update, delete], approvers: [group:dba], quorum: 1, expires: 15m}
  - name: no-unbounded-writes
    who: ["*"]
    targets: ["*"]
    deny: {actions: [update, delete], unbounded: true}
    reason: "UPDATE or DELETE without a WHERE clause"
  - name: ops
    who: [group:engineers]
    targets: [web1]
    allow: {commands: ["systemctl status *", "journalctl **", "ls **", "cat /var/log/**"]}
    review: {commands: ["systemctl restart *"], approvers: [group:sre]}
masking:
  detect: [email, credit_card, us_ssn, iban, phone, secrets]
  columns: {"orders:public.customers.email": partial, "orders:*.*.ssn": redact}
  reveal: [{who: [group:dba], targets: [orders], detect: [email], review: true}]
"""


def run(
    folder: Path, *words: str, given: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    """`interlock` in a folder, as from a shell there."""
    here = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "broker", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": here} | environ,
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A folder with the contract's sample file."""
    (tmp_path / "interlock.yaml").write_text(SAMPLE.replace("STATE", str(tmp_path / "state")))
    return tmp_path


def test_the_sample_file_is_good_when_its_secret_is_there(sample: Path) -> None:
    ran = run(sample, "check", ORDERS_PASSWORD="x")
    assert ran.returncode == 0, ran.stderr
    refused = run(sample, "check")
    assert refused.returncode == 64
    assert "ORDERS_PASSWORD is not set" in refused.stderr


@pytest.mark.parametrize(
    ("who", "target", "statement", "verdict", "rule"),
    [
        ("group:ci", "orders", "SELECT * FROM refunds", "allow", "agents-read"),
        ("group:ci", "orders", "DELETE FROM refunds", "deny", "no-unbounded-writes"),
        ("group:ci", "orders", "DELETE FROM refunds WHERE id=1", "review", "writes-need-two-eyes"),
        ("group:ci", "orders", "SELECT * FROM secret.keys", "deny", "default"),
        ("group:ci", "orders", "SELEC", "deny", "grammar"),
        ("group:engineers", "web1", "systemctl restart nginx", "review", "ops"),
        ("group:engineers", "web1", "cat /var/log/syslog", "allow", "ops"),
        ("group:engineers", "web1", "cat /var/log/../shadow", "deny", "default"),
        ("group:engineers", "cache", "GET x", "deny", "default"),
    ],
)
def test_explain_asks_the_rules_and_no_secret(
    sample: Path, who: str, target: str, statement: str, verdict: str, rule: str
) -> None:
    ran = run(sample, "explain", "--as", who, "--target", target, "-", given=statement)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"verdict  {verdict}\nrule     {rule}\nwhy      ")
    assert ("judged by its text alone" in ran.stderr) is (target == "orders")


def test_a_port_that_is_taken_is_a_sentence(sample: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run(sample, "serve", "--listen", f"127.0.0.1:{port}", ORDERS_PASSWORD="x")
    assert ran.returncode == 70
    last = ran.stderr.splitlines()[-1]
    assert last == f"interlock: cannot listen on 127.0.0.1:{port}: Address already in use"
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--listen", "127.0.0.1:0", "--state", "/proc/nowhere"),
        ("--listen", "nowhere.invalid:0"),
        ("--listen", "203.0.113.7:0"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(sample: Path, words: tuple[str, ...]) -> None:
    ran = run(sample, "serve", *words, ORDERS_PASSWORD="x")
    assert ran.returncode == 70
    assert ran.stderr.splitlines()[-1].startswith("interlock: ")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("block", ["ttl: 1s", "session_ttl: 1s"])
def test_short_times_are_legal(sample: Path, block: str) -> None:
    file = sample / "interlock.yaml"
    text = file.read_text()
    text = f"{block}\n{text}" if block.startswith("s") else text.replace("ttl: 10m", block)
    file.write_text(text.replace("expires: 15m", "expires: 1s"))
    assert run(sample, "check", ORDERS_PASSWORD="x").returncode == 0


DRAIN = """\
listen: 127.0.0.1:0
state: state
drain: 2s
%s
targets:
  box: {kind: command, argv: [/bin/sh], cwd: /}
rules:
  - {name: all, who: ["*"], targets: [box], allow: {commands: ["echo **", "sleep *"]}}
"""


def test_running_sessions_are_told_and_new_ones_refused(tmp_path: Path) -> None:
    with (
        provider("ES256") as corp,
        provider("ES256") as ci,
        serving(tmp_path, DRAIN % issuers(corp, ci)) as broker,
    ):
        one = broker.person("one", corp.token(email="one@acme.example", groups=["x"]))
        short, long = (one.begin("box", f"sleep {s}; echo done") for s in ("0.8", "60"))
        until(lambda: [s["ended"] for s in one.json("sessions")] == [None, None])
        broker.process.send_signal(signal.SIGTERM)
        broker.says("stopping")
        out, err = short.communicate(timeout=20)
        assert (short.returncode, out) == (0, "done\n"), err
        assert "interlock: the broker is stopping in 2 s" in err
        assert one.ssh("box", "echo new").returncode == 255
        assert broker.process.wait(20) == 0
        long.communicate(timeout=20)
        assert long.returncode != 0
        assert broker.verify()["ok"]
        assert not re.search("Traceback|ERROR", broker.errors.read_text())


def test_reloading_changes_what_is_judged_from_then_on(company: Company) -> None:
    text = company.broker.file.read_text()
    assert company.engineer.ssh("say", "later").returncode == 77
    try:
        company.broker.file.write_text(text.replace('["hello **"]', '["hello **", later]'))
        mark = company.broker.errors.stat().st_size
        company.broker.process.send_signal(signal.SIGHUP)
        company.broker.says("is in force", mark)
        assert company.engineer.ssh("say", "later").stdout == "said later\n"
    finally:
        company.broker.file.write_text(text)
        mark = company.broker.errors.stat().st_size
        company.broker.process.send_signal(signal.SIGHUP)
        company.broker.says("is in force", mark)
