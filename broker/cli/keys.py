"""`interlock keys`: what clients and targets need to trust this broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.cli import options

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from broker.identity.authority import Authority


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    keys = commands.add_parser("keys", help="print the keys that others need")
    kinds = keys.add_subparsers(dest="which", required=True, metavar="WHICH")
    hosts = kinds.add_parser("known-hosts", help="the @cert-authority line for ~/.ssh/known_hosts")
    hosts.add_argument("name", nargs="?", default=None, help="the broker's name (default: any)")
    targets = kinds.add_parser("target-ca", help="for TrustedUserCAKeys on ssh targets")
    for one in (hosts, targets):
        options.add_config(one)
    hosts.set_defaults(run=run_known_hosts)
    targets.set_defaults(run=run_target_ca)


def run_known_hosts(words: argparse.Namespace) -> int:
    """Print the line."""
    print(_authority(options.state(words)).known_hosts_line(words.name or "*"))
    return 0


def run_target_ca(words: argparse.Namespace) -> int:
    """Print the public key."""
    state = options.state(words)
    _authority(state)
    print((state / "keys" / "target_ca.pub").read_text().strip())
    return 0


def _authority(state: Path) -> Authority:
    from broker.identity.authority import Authority  # imports that other commands do not pay

    return Authority.open(state / "keys")
