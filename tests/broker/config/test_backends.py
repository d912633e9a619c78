from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.targets import (
    TIMEOUTS,
    CommandTarget,
    PostgresTarget,
    SecretSource,
    SessionRole,
    SshTarget,
)
from tests.broker.config.samples import loaded, only

if TYPE_CHECKING:
    from pathlib import Path

HOST = "host: h, user: u"
CA = "host_ca: 'ssh-rsa AAAA'"
DSN = "kind: postgres, dsn: 'host=h user=u dbname=d'"


def target(text: str, name: str = "t") -> str:
    return f"targets:\n  {name}: {{{text}}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host: h", "targets.t: the key `kind` is missing"),
        ("kind: mysql", "targets.t.kind: `mysql` is not one of postgres, ssh, command"),
        ("kind: ssh, user: u, host_key: 'ssh-rsa AAAA'", "targets.t: the key `host` is missing"),
        (f"kind: ssh, {HOST}", "targets.t: host_key or host_ca is needed"),
        (f"kind: ssh, {HOST}, host_key: AAAA", "targets.t.host_key[0]: must be `TYPE BASE64`"),
        (f"kind: ssh, {HOST}, host_key: 'ssh-dss AAAA'", "targets.t.host_key[0]: must be `TYPE"),
        (f"kind: ssh, {HOST}, host_key: 'ssh-rsa x'", "targets.t.host_key[0]: the key after"),
        (f"kind: ssh, {HOST}, host_ca: 'ssh-rsa AAAA', key: k", "targets.t.key: the file "),
        (f"kind: ssh, {HOST}, host_ca: 'ssh-rsa AAAA', port: 0", "targets.t.port: must be from 1"),
        ("kind: ssh, host: '-oX', user: u, host_ca: 'ssh-rsa AAAA'", "targets.t.host: `-oX` is"),
        ("kind: ssh, host: h, user: '-u', host_ca: 'ssh-rsa AAAA'", "targets.t.user: `-u` is"),
        (
            f"kind: ssh, {HOST}, host_ca: 'ssh-rsa AAAA', shell: patterns",
            "targets.t.shell: `patterns` is not one of lines",
        ),
        (
            f"kind: ssh, {HOST}, {CA}, passphrase: {{env: ORDERS_PASSWORD}}",
            "targets.t: passphrase needs a key",
        ),
        (f"kind: ssh, {HOST}, {CA}, password: x", "targets.t.password: must be"),
        (f"kind: ssh, {HOST}, {CA}, source_address: web", "targets.t.source_address[0]: must be"),
        (
            f"kind: ssh, {HOST}, {CA}, source_address: [any, 10.0.0.0/8]",
            "targets.t: source_address is `any` or networks, not both",
        ),
        (
            f"kind: ssh, {HOST}, {CA}, source_address: any, password: {{env: ORDERS_PASSWORD}}",
            "targets.t: source_address is for certificates",
        ),
        ("kind: command, argv: []", "targets.t.argv: must not be empty"),
        ("kind: command, argv: cat", "targets.t.argv: must be a list"),
        ("kind: command, argv: [sleep, 1]", "targets.t.argv[1]: YAML takes this for a number"),
        ("kind: command, argv: [x], env: {A: 1}", "targets.t.env.A: YAML takes this for a number"),
        ("kind: command, argv: [x], env: {A-B: x}", "targets.t.env.A-B: `A-B` is not an env"),
        ("kind: command, argv: [x], env: {A: {env: NONE}}", "targets.t.env.A: the environment"),
        (f"{DSN}, password: hunter2", "targets.t.password: must be {env: NAME}, {file: PATH} or"),
        (f"{DSN}, password: {{env: NONE}}", "targets.t.password: the environment variable NONE"),
        (f"{DSN}, password: {{file: none}}", "targets.t.password: the file "),
        (f"{DSN}, password: {{command: []}}", "targets.t.password.command: must not be empty"),
        (f"{DSN}, password: {{command: [no-such]}}", "targets.t.password: the program 'no-such'"),
        (f"{DSN}, password: {{env: A, file: b}}", "targets.t.password: exactly one of env, file"),
        (
            "kind: postgres, dsn: 'host=h user=u dbname=d sslmode=verify-ca sslrootcert=none.pem'",
            "targets.t.dsn: sslrootcert: the file ",
        ),
        (f"{DSN}, sslmode: require", "targets.t.sslmode: unknown key `sslmode`"),
        (f"{DSN}, sslpassword: hunter2", "targets.t.sslpassword: must be {env: NAME}, {file: PA"),
        (f"{DSN}, timeouts: {{lock: 5}}", "targets.t.timeouts.lock: must be a duration"),
        (f"{DSN}, timeouts: {{locks: 5s}}", "targets.t.timeouts.locks: unknown key `locks`"),
        (f"{DSN}, role: reader", "targets.t.role: must be {in: [ROLE, ...]}"),
        (f"{DSN}, role: {{}}", "targets.t.role: the key `in` is missing"),
        (f"{DSN}, role: {{in: []}}", "targets.t.role.in: must not be empty"),
        (f"{DSN}, role: {{in: [r], limit: 0}}", "targets.t.role.limit: must be from 1 to 100"),
        (f"{DSN}, role: {{in: [r], owned: give}}", "targets.t.role.owned: `give` is not one of"),
        (f"{DSN}, role: {{in: [r], admin: true}}", "targets.t.role.admin: unknown key `admin`"),
    ],
)
def test_refused(tmp_path: Path, text: str, said: str) -> None:
    found = only(tmp_path, target(text))
    assert found.startswith(f"2: {said}")
    assert "hunter2" not in found


@pytest.mark.parametrize("name", ["login", "broker", "approvals", "-x", "a:b", "'*'", "a b", "''"])
def test_a_target_name_is_a_user_name_that_is_still_free(tmp_path: Path, name: str) -> None:
    assert only(tmp_path, target("kind: command, argv: [cat]", name)).startswith("2: targets.")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    for name in ("ca.pem", "secret", "key"):
        (tmp_path / name).write_text("x\n")
    program = tmp_path / "print-secret"
    program.write_text("#!/bin/sh\necho x\n")
    program.chmod(0o700)
    text = f"""
targets:
  a:
    kind: postgres
    dsn: host=h user=u dbname=d sslmode=verify-full sslrootcert=ca.pem
    password: {{file: secret}}
  b: {{kind: ssh, {HOST}, host_ca: ['ssh-ed25519 AAAA'], key: ./key, port: 2022}}
  c: {{kind: command, argv: [cat], cwd: ../x, user: nobody, shell: patterns,
      env: {{A: b, C: {{command: [./print-secret, word]}}}}}}
"""
    assert loaded(tmp_path, text).targets == {
        "a": PostgresTarget(
            "a",
            "h",
            5432,
            "u",
            "d",
            "verify-full",
            tmp_path / "ca.pem",
            SecretSource(file=tmp_path / "secret"),
        ),
        "b": SshTarget("b", "h", 2022, "u", host_cas=("ssh-ed25519 AAAA",), key=tmp_path / "key"),
        "c": CommandTarget(
            "c",
            ("cat",),
            tmp_path.parent / "x",
            {"A": "b", "C": SecretSource(command=(str(program), "word"))},
            "nobody",
            "patterns",
        ),
    }


def test_limits_and_roles_of_sessions(tmp_path: Path) -> None:
    text = f"""
targets:
  a: {{{DSN}}}
  b: {{{DSN}, timeouts: {{statement: 5s, idle_in_transaction: 0s}}, role: {{in: reader}}}}
  c: {{{DSN}, role: {{in: [reader, "Two Words"], limit: 5, owned: drop}}}}
"""
    a, b, c = loaded(tmp_path, text).targets.values()
    assert isinstance(a, PostgresTarget)
    assert isinstance(b, PostgresTarget)
    assert isinstance(c, PostgresTarget)
    assert (a.settings, a.role) == (TIMEOUTS, None)
    assert b.settings == TIMEOUTS | {
        "statement_timeout": "5000",
        "idle_in_transaction_session_timeout": "0",
    }
    assert b.role == SessionRole(("reader",))
    assert c.role == SessionRole(("reader", "Two Words"), limit=5, keep=False)


def test_a_client_key_must_be_the_brokers_alone(tmp_path: Path) -> None:
    for name in ("c.crt", "c.key"):
        (tmp_path / name).write_text("x\n")
        (tmp_path / name).chmod(0o644)
    text = target(
        "kind: postgres, dsn: 'host=h,i port=1 user=u dbname=d sslmode=require "
        "sslcert=c.crt sslkey=c.key connect_timeout=3 target_session_attrs=standby'"
    )
    assert "t.dsn: sslkey: " in (said := only(tmp_path, text))
    assert "is open to other users (mode 0644)" in said
    (tmp_path / "c.key").chmod(0o600)
    assert loaded(tmp_path, text).targets == {
        "t": PostgresTarget(
            *("t", "h", 1, "u", "d", "require"),
            fallbacks=(("i", 1),),
            sslcert=tmp_path / "c.crt",
            sslkey=tmp_path / "c.key",
            connect_timeout=3,
            session_attrs="standby",
        )
    }
