"""Finds and loads the configuration file: a Config, or every problem at once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.config.backends import Surroundings, make_targets
from broker.config.display import make_examples, make_masking
from broker.config.dsn import PROVING_MODES, store_warnings
from broker.config.model import STORE_GRACE, Config, Limits
from broker.config.providers import make_custody, make_issuers
from broker.config.ruleset import TEXT, Known, make_rules
from broker.config.schema import FILE
from broker.config.shapes import Fields
from broker.config.source import SIZE_LIMIT, Keys, Problems, parse
from broker.errors import ConfigError, Problem
from broker.identity.addresses import is_loopback
from broker.mask.rules import Masking
from broker.targets import CommandTarget, PostgresTarget

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from broker.policy.rules import Block
    from broker.targets import Target

DEFAULT_LISTEN = "127.0.0.1:2222"
DEFAULT_PORT = 2222
DEFAULT_STATE = "/var/lib/interlock"
PLACES = (Path("interlock.yaml"), Path("/etc/interlock/interlock.yaml"))
VARIABLE = "INTERLOCK_CONFIG"
LISTEN = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>\d+))?"
)
LARGEST_PORT = 65535
SETTINGS = ("auditors", "admins", "session_ttl", "idle_timeout", "drain", "log")


def find(explicit: str | None, environ: Mapping[str, str]) -> Path:
    """The file to load: as told, then as the environment says, then the two usual places."""
    if named := explicit or environ.get(VARIABLE):
        return Path(named)
    return next((place for place in PLACES if place.exists()), PLACES[0])


def load(
    file: Path,
    *,
    listen: str | None = None,
    state: Path | None = None,
    environ: Mapping[str, str] | None,
) -> Config:
    """The configuration in a file; `listen` and `state` override what it says.

    Without an environment nothing is asked of where secrets are: only rules are of interest.
    """
    file = file.absolute()
    data = _bytes(file)
    problems = Problems(str(file))
    tree = parse(data, problems)
    fields = None if tree is None else FILE.check(tree, "", problems)
    config = None
    if isinstance(fields, Fields):
        config = _config(fields, file, data, Surroundings(file.parent, environ, problems))
    told = Problems("command line")
    address = None if listen is None else _listen(listen, 1, told)
    if config is None or problems.found or told.found:
        raise ConfigError(told.in_order() + problems.in_order())
    if address is not None:
        config = replace(config, host=address[0], port=address[1])
    return config if state is None else replace(config, state=state.absolute())


def state_of(file: Path) -> Path:
    """The state folder that a file names, whatever else it says: evidence outlives a bad file."""
    file = file.absolute()
    problems = Problems(str(file))
    tree = parse(_bytes(file), problems)
    if not isinstance(tree, Keys):
        raise ConfigError(problems.in_order() or [Problem(str(file), 1, "must be a mapping")])
    problems = Problems(str(file))
    written = DEFAULT_STATE
    if "state" in tree.values:
        written = FILE.fields["state"].check(tree.values["state"], "state", problems)
    if problems.found:
        raise ConfigError(problems.in_order())
    return Surroundings(file.parent, None, problems).path(written)


def warnings(config: Config) -> list[str]:
    """What is accepted and may still surprise, in sentences."""
    said = []
    if not config.issuers:
        said.append("issuers is empty: nobody can log in")
    if not config.rules:
        said.append("rules is empty: everything is denied")
    if config.masking.reveal:
        said.append("masking.reveal is not applied in this version: values stay masked")
    if config.store != "sqlite":
        said += [f"store: {warning}" for warning in store_warnings(config.store)]
    said += [
        f"rules: {rule.name} allows everything on its targets"
        for rule in config.rules
        if rule.allow is not None and _is_unrestricted(rule.allow)
    ]
    said += [
        f"targets.{target.name}: sslmode={target.sslmode} does not prove which server answers"
        for target in config.targets.values()
        if isinstance(target, PostgresTarget) and _is_remote(target)
    ]
    return said


def _config(fields: Fields, file: Path, data: bytes, around: Surroundings) -> Config:
    """A Config of all that is good; the caller throws it away when there are problems."""
    problems = around.problems
    issuers = make_issuers(fields.get("issuers", ()), problems)
    entries = fields.get("targets")
    targets = make_targets(entries or {}, around)
    names = entries.names if entries is not None else ()
    kinds = {name: _kind(targets.get(name)) for name in names}
    known = Known(kinds, issuers, len(issuers) == _written(fields, "issuers"), problems)
    rules = make_rules(fields.get("rules", ()), known)
    for key in ("auditors", "admins"):
        known.check_who(fields.get(key, ()), fields.line_of(key), key)
    listen = fields.get("listen", DEFAULT_LISTEN)
    host, port = _listen(listen, fields.line_of("listen"), problems)
    return Config(
        file=file,
        hash=hashlib.sha256(data).hexdigest(),
        host=host,
        port=port,
        state=around.path(fields.get("state", DEFAULT_STATE)),
        store=fields.get("store", "sqlite"),
        issuers=issuers,
        targets=targets,
        rules=rules,
        **_rest(fields, known, around),
    )


def _rest(fields: Fields, known: Known, around: Surroundings) -> dict[str, Any]:
    """The sections that depend on the others, and the settings that were written."""
    masking = fields.get("masking")
    rule_names = [entry.get("name", "") for entry in fields.get("rules", ())]
    settings = {key: fields[key] for key in SETTINGS if key in fields}
    return settings | {
        "limits": Limits(**fields.get("limits", {})),
        "on_store_loss": _grace(fields.get("on_store_loss", "end")),
        "masking": Masking() if masking is None else make_masking(masking, known),
        "user_ca": make_custody(fields.get("user_ca"), around),
        "trusted_user_cas": tuple(
            around.readable(file, fields.line_of("trusted_user_cas"), "trusted_user_cas")
            for file in fields.get("trusted_user_cas", ())
        ),
        "examples": make_examples(fields.get("examples", ()), rule_names, known),
    }


def _grace(written: Any) -> timedelta | None:  # noqa: ANN401 - a word or a section
    """How long sessions go on without the store."""
    if isinstance(written, str):
        return None if written == "keep" else STORE_GRACE
    grace: timedelta = written.get("end_after", STORE_GRACE)
    return grace


def _kind(target: Target | None) -> str:
    """What rules can say about a target; nothing is known of one with a problem of its own."""
    if target is None:
        return ""
    return TEXT if isinstance(target, CommandTarget) and target.shell == "patterns" else target.kind


def _written(fields: Fields, key: str) -> int:
    """How many entries a list has, or -1 when it is so bad that nobody can tell."""
    if key not in fields:
        return -1 if key in fields.names else 0
    return len(fields[key])


def _listen(text: str, line: int, problems: Problems) -> tuple[str, int]:
    found = LISTEN.fullmatch(text)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or port > LARGEST_PORT:
        message = f"listen: `{text}` is not HOST:PORT"
        problems.add(line, message, "such as 127.0.0.1:2222 or [::1]:2222")
        return "", 0
    return found["six"] or found["host"], port


def _bytes(file: Path) -> bytes:
    """The file as it is, or a little more than we accept of it."""
    try:
        with file.open("rb") as opened:
            return opened.read(SIZE_LIMIT + 1)
    except OSError as error:
        problem = Problem(str(file), 1, f"cannot be read: {error.strerror}")
        raise ConfigError([problem]) from error


def _is_unrestricted(block: Block) -> bool:
    limits = ("actions", "tables", "functions", "commands", "paths", "unbounded", "terminal")
    return all(getattr(block, limit) is None for limit in limits)


def _is_remote(target: PostgresTarget) -> bool:
    local = all(host.startswith("/") or is_loopback(host) for host, _ in target.addresses)
    return not local and target.sslmode not in PROVING_MODES
