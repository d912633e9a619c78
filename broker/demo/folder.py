"""The demo's folder: keys, tokens and an ssh configuration for five people, gone at the end."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody of the story: the name of their ssh host alias, and their token's claims."""

    name: str
    what: str
    issuer: str
    claims: Mapping[str, object]


PERSONAS = (
    Persona(
        "agent",
        "a CI job of acme/shop, started by alice",
        "ci",
        {
            "sub": "repo:acme/shop:ref:refs/heads/main",
            "role": "job",
            "repository": "acme/shop",
            "repository_owner": "acme",
            "actor": "alice@example.com",
            "run_id": "4711",
            "ref": "refs/heads/main",
        },
    ),
    Persona(
        "engineer",
        "alice, an engineer",
        "corp",
        {"sub": "u-alice", "email": "alice@example.com", "groups": ["engineers"]},
    ),
    Persona(
        "approver",
        "bob, a database administrator on call",
        "corp",
        {"sub": "u-bob", "email": "bob@example.com", "groups": ["dba"]},
    ),
    Persona(
        "auditor",
        "carol, an auditor",
        "corp",
        {"sub": "u-carol", "email": "carol@example.com", "groups": ["auditors"]},
    ),
    Persona(
        "admin",
        "dana, who runs the broker",
        "corp",
        {"sub": "u-dana", "email": "dana@example.com", "groups": ["admins"]},
    ),
)

RENEW = """\
#!/bin/sh
# ssh itself calls this (Match ... exec): a fresh certificate for $1 after 10 minutes.
cd {folder} || exit 1
if [ -z "$(find "$1-cert.pub" -mmin -10 2>/dev/null)" ]; then
    ssh -F login_config "login@$1" <"$1.token" >"$1-cert.new" 2>/dev/null &&
        mv "$1-cert.new" "$1-cert.pub"
fi
exit 0
"""

HOST = """\
Host {name}
    HostName {host}
    Port {port}
    HostKeyAlias interlock-demo
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking yes
    IdentityFile {folder}/{name}
    IdentitiesOnly yes
    IdentityAgent none
    LogLevel INFO
"""


def make_keys(folder: Path) -> None:
    """A key for every persona, readable by nobody else."""
    for persona in PERSONAS:
        key = asyncssh.generate_private_key("ssh-ed25519", comment=f"demo {persona.name}")
        private = folder / persona.name
        private.touch(0o600)
        private.write_bytes(key.export_private_key())
        (folder / f"{persona.name}.pub").write_bytes(key.export_public_key())


def write_token(folder: Path, name: str, token: str) -> None:
    """A persona's token, replaced in one step so that no reader sees half of one."""
    new = folder / f".{name}.token"
    new.touch(0o600)
    new.write_text(token + "\n")
    new.replace(folder / f"{name}.token")


def write_ssh_config(folder: Path, host: str, port: int, authority: str) -> Path:
    """An ssh configuration in which each persona is a host; certificates renew by themselves."""
    (folder / "known_hosts").write_text(authority + "\n")
    renew = folder / "renew"
    renew.write_text(RENEW.format(folder=shlex.quote(str(folder))))
    renew.chmod(0o700)
    hosts = [HOST.format(name=p.name, host=host, port=port, folder=folder) for p in PERSONAS]
    (folder / "login_config").write_text("".join(hosts))
    names = ",".join(p.name for p in PERSONAS)
    match = f'Match originalhost {names} exec "{folder}/renew %n"\n'
    config = folder / "ssh_config"
    config.write_text("".join([match, *hosts]))
    return config
