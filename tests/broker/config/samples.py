"""Configuration texts, and how tests load one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.config.load import load
from broker.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from broker.config.model import Config

ENVIRON = {"ORDERS_PASSWORD": "not-shown-anywhere"}

DESIGN = """\
listen: 0.0.0.0:2222
state: /var/lib/interlock            # keys, recordings, log, sqlite
store: sqlite                        # or postgresql://... for several nodes
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
    client_id: interlock-cli         # device flow
    kind: human
    user: "{email}"
    groups_claim: groups
targets:
  orders:
    kind: postgres
    dsn: postgresql://app@db.internal:5432/orders?sslmode=verify-full
    password: {env: ORDERS_PASSWORD}          # or {file: ...}, {command: [...]}
  web1:
    kind: ssh
    host: web1.internal
    user: deploy                              # we sign a per-session certificate for it, or {key: ...}
    host_key: "ssh-ed25519 AAAA..."
  cache:
    kind: command
    argv: [redis-cli, -h, cache.internal]
rules:                                # all that match are weighed: deny beats review beats allow; none = deny
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
  detect: [email, credit_card, us_ssn, iban, phone, secrets]   # every target, both directions of text output
  columns: {"orders:public.customers.email": partial, "orders:*.*.ssn": redact}
  reveal: [{who: [group:dba], targets: [orders], detect: [email], review: true}]
"""  # noqa: E501 - as the design has it

TARGETS = """\
targets:
  db: {kind: postgres, dsn: "host=127.0.0.1 user=app dbname=shop"}
  web: {kind: ssh, host: web.internal, user: deploy, host_key: "ssh-ed25519 AAAAC3Nz"}
  tool: {kind: command, argv: [cat]}
"""

ISSUERS = """\
issuers:
  - {name: corp, issuer: "https://id.example.com", audience: us, kind: human, user: "{email}",
     keep: [team]}
"""


def loaded(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
    """The Config of a text."""
    file = folder / "interlock.yaml"
    file.write_text(text)
    return load(file, environ=environ)


def refused(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """The problems of a text, each as ``LINE: message (hint)``."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, environ)
    file = str(folder / "interlock.yaml")
    assert all(problem.file == file for problem in caught.value.problems)
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


def only(folder: Path, text: str) -> str:
    """The one problem of a text."""
    found = refused(folder, text)
    assert len(found) == 1, found
    return found[0]


def with_rule(rule: str) -> str:
    """A file with one rule (a flow mapping without its braces) on line 7."""
    return f"{ISSUERS}{TARGETS}rules:\n  - {{name: r, {rule}}}\n"
