"""Words to a command, and every failure to a sentence and an exit code."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from broker.errors import ConfigError, ExitCode, InterlockError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

DESCRIPTION = (
    "A terminal session broker for SSH and database shells: judges, reviews, masks and records "
    "every line between agents or people and their targets."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    given = sys.argv[1:] if argv is None else argv
    words = parser(only_login=given[:1] == ["login"]).parse_args(given)
    try:
        return int(words.run(words))
    except ConfigError as error:
        print(f"interlock: the configuration has {_count(error)}:", file=sys.stderr)
        print(error, file=sys.stderr)
        return error.code
    except InterlockError as error:
        print(f"interlock: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        return ExitCode.OK
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"interlock: {_told(error)}", file=sys.stderr)
        return ExitCode.FAULT


def _told(error: OSError) -> str:
    """A failure of the machine (a folder, a disk) as a sentence."""
    why = (error.strerror or str(error)).lower()
    return f"{error.filename}: {why}" if error.filename else why


def _count(error: ConfigError) -> str:
    number = len(error.problems)
    return "1 problem" if number == 1 else f"{number} problems"


def parser(*, only_login: bool = False) -> argparse.ArgumentParser:
    """Every command with its options, as `--help` shows them.

    ssh runs `login --renew` at every connection, so that one comes without the others' imports.
    """
    from broker.cli import login

    made = _Words(prog="interlock", description=DESCRIPTION)
    made.add_argument("--version", action="version", version="interlock 0.1.0")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    rooms: list[ModuleType] = [login]
    if not only_login:
        from broker.cli import demo, evidence, keys, policy, serve

        rooms += [serve, policy, evidence, keys, demo]
    for room in rooms:
        room.add_to(commands)
    return made


class _Words(argparse.ArgumentParser):
    """argparse with the contract's exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """A wrong word: the sentence, and 64."""
        self.exit(ExitCode.USAGE, f"interlock: {message}; try: {self.prog} --help\n")


if __name__ == "__main__":
    sys.exit(main())
