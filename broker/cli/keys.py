"""`interlock keys`: what clients and targets need to trust this broker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from broker.cli import options

if TYPE_CHECKING:
    import argparse

    from asyncssh import SSHKey


HOST_PORT = re.compile(r"([^:\[\]]+|\[[^\[\]]+\]):(\d+)")
SSH_PORT = "22"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    keys = commands.add_parser("keys", help="print the keys that others need")
    kinds = keys.add_subparsers(dest="which", required=True, metavar="WHICH")
    hosts = kinds.add_parser("known-hosts", help="the @cert-authority line for ~/.ssh/known_hosts")
    hosts.add_argument(
        "name", nargs="?", default=None, help="the broker's NAME or NAME:PORT (default: any)"
    )
    targets = kinds.add_parser("target-ca", help="for TrustedUserCAKeys on ssh targets")
    for one in (hosts, targets):
        options.add_config(one)
    hosts.set_defaults(run=run_known_hosts)
    targets.set_defaults(run=run_target_ca)


def run_known_hosts(words: argparse.Namespace) -> int:
    """Print the line."""
    from broker.identity.authority import known_hosts_line  # imports that others do not pay

    name = words.name or "*"
    if found := HOST_PORT.fullmatch(name):  # ssh writes a port that is not 22 with brackets
        host, port = found[1].strip("[]"), found[2]
        name = host if port == SSH_PORT else f"[{host}]:{port}"
    print(known_hosts_line(_key(words, "host_ca"), name))
    return 0


def run_target_ca(words: argparse.Namespace) -> int:
    """Print the public key."""
    _key(words, "target_ca")
    print((options.state(words) / "keys" / "target_ca.pub").read_text().strip())
    return 0


def _key(words: argparse.Namespace, name: str) -> SSHKey:
    """One key, made when there is none; the user CA's may be elsewhere, so it is left alone."""
    from broker.identity import key_files

    with key_files.directory(options.state(words) / "keys") as folder:
        return key_files.key(folder / name)
