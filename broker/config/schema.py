"""What the configuration file may hold: one declaration, which validates and makes the schema.

The tables here say what a key may be by itself. What depends on other keys (a rule that can never
match, a target that does not exist) is checked where the values are made: `providers`, `backends`,
`ruleset`.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

from broker.config.affected import Affected
from broker.config.dsn import dsn_problem, store_dsn_problem
from broker.config.shapes import (
    ByKind,
    Claim,
    Duration,
    Named,
    Section,
    Several,
    Shape,
    Text,
    TextOr,
    Truth,
    Whole,
)
from broker.identity.addresses import address_problem
from broker.identity.claims import is_safe, template_problem
from broker.identity.paths import path_problem
from broker.mask.rules import DETECTORS, Style

WORDS = ("login", "broker", "approvals")  # user names of the front door: no target has them
NAME_FORM = "a name of letters, digits, dots, dashes and underscores, 63 at most"
OWN_RULES = ("default", "grammar", "console", "encoding", "meta-commands")
KIND_WORDS = ("human", "agent")
HOST_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def who_problem(entry: str) -> str | None:
    """What is wrong with an entry of `who`, `approvers` or `auditors`, by itself."""
    if entry == "*":
        return None
    if "*" in entry:
        return "only `*` alone means everybody; there are no patterns in names"
    if not is_safe(entry.removeprefix("group:")) or entry in ("group:", "kind:", "issuer:"):
        return "is not a name, group:NAME, kind:human, kind:agent or issuer:NAME"
    if entry.startswith("kind:") and entry.removeprefix("kind:") not in KIND_WORDS:
        return "a kind is kind:human or kind:agent"
    return None


def rule_name_problem(name: str) -> str | None:
    """In the evidence a rule must not look like a refusal of the broker itself."""
    return f"`{name}` is what the broker's own refusals say" if name in OWN_RULES else None


def target_name_problem(name: str) -> str | None:
    """Target names are SSH user names."""
    return f"`{name}` is a user name of the broker itself" if name in WORDS else None


def host_key_problem(line: str) -> str | None:
    """An OpenSSH public key line: whether the key in it can be read is seen when it is used."""
    words = line.split()
    if len(words) < len(("type", "key")) or words[0] not in HOST_KEY_TYPES:
        return f"must be `TYPE BASE64`, TYPE being one of {', '.join(HOST_KEY_TYPES)}"
    return None if words[1].startswith("AAAA") else "the key after its type must begin with AAAA"


def source_address_problem(text: str) -> str | None:
    """Where a session's certificate is good from."""
    if text == "any":
        return None
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return "must be an address, a network such as 10.0.0.0/24, or `any`"
    return None


def store_problem(store: str) -> str | None:
    """The address may hold a password, so it is not repeated."""
    if store == "sqlite":
        return None
    if store.startswith(("postgresql://", "postgres://")):
        return store_dsn_problem(store)
    return "must be sqlite, or postgresql://... for several nodes"


PLAIN = Text()
NAME = Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", form=NAME_FORM)
TARGET_NAME = Text(pattern=NAME.pattern, form=NAME_FORM, problem=target_name_problem)
CLAIM_NAME = Text(pattern=r"[^{}\s]{1,200}", form="a claim's name", problem=path_problem)
VARIABLE = Text(pattern=r"[A-Za-z_][A-Za-z0-9_]*", form="an environment variable's name")
TEMPLATE = Text(problem=template_problem)
WHO = Several(Text(problem=who_problem))
WORDS_LIST = Several(PLAIN)
CLAIM_PATTERNS = Several(Claim(), or_one=True)
PORT = Whole(1, 65535)
HOST = Text(pattern=r"[A-Za-z0-9:][A-Za-z0-9._:%-]*", form="a host name or address")
USER = Text(pattern=r"[A-Za-z0-9_][A-Za-z0-9._@+-]*", form="a user name")
FINGERPRINT = Text(
    pattern=r"SHA256:[A-Za-z0-9+/]{43}", form="a key's fingerprint as ssh-keygen -l prints it"
)
HOST_KEYS = Several(Text(problem=host_key_problem), or_one=True)

SECRET = Section(
    {"env": VARIABLE, "file": PLAIN, "command": WORDS_LIST},
    exactly_one=True,
    doc="Where a secret is read from: an environment variable, a file, or a program's output.",
    else_say=(
        "must be {env: NAME}, {file: PATH} or {command: [PROGRAM, ...]}; "
        "a secret is never written in this file"
    ),
)

ISSUER = Section(
    {
        "name": NAME,
        "issuer": Text(problem=address_problem),
        "audience": PLAIN,
        "client_id": PLAIN,
        "kind": Text(choices=KIND_WORDS),
        "user": TEMPLATE,
        "groups": Several(TEMPLATE, may_be_empty=True),
        "groups_claim": CLAIM_NAME,
        "acting_for": TEMPLATE,
        "require": Named(CLAIM_NAME, CLAIM_PATTERNS),
        "keep": Several(CLAIM_NAME, may_be_empty=True),
        "ttl": Duration(SECOND, DAY),
        "skew": Duration(timedelta(), 5 * MINUTE),
        "keys_life": Duration(10 * MINUTE, DAY),
        "pin_source": Truth(),
    },
    required=("name", "issuer", "audience", "kind", "user"),
    doc="An OIDC provider whose ID tokens are accepted.",
)

USER_CA = Section(
    {"file": PLAIN, "agent": FINGERPRINT, "socket": PLAIN},
    doc="Where the key is that signs user certificates: a file, or an ssh-agent that holds it.",
    else_say="must be {file: PATH} or {agent: SHA256:...}",
)

TIMEOUT = Duration(timedelta(), DAY)
ROLE = Section(
    {
        "in": Several(Text(pattern=r"[^\0]{1,63}", form="a role's name"), or_one=True),
        "limit": Whole(1, 100),
        "owned": Text(choices=("keep", "drop")),
    },
    required=("in",),
    doc="A role for each session, a member of those in `in`; dropped at its end.",
    else_say="must be {in: [ROLE, ...]}",
)

POSTGRES = Section(
    {
        "kind": PLAIN,
        "dsn": Text(problem=dsn_problem),
        "password": SECRET,
        "sslpassword": SECRET,
        "timeouts": Section(
            {"statement": TIMEOUT, "lock": TIMEOUT, "idle_in_transaction": TIMEOUT},
            doc="Limits of the server for every session; 0s is none.",
        ),
        "role": ROLE,
    },
    required=("dsn",),
    doc="A PostgreSQL database; the database in the dsn is the target's.",
    fixed={"kind": "postgres"},
)

SSH = Section(
    {
        "kind": PLAIN,
        "host": HOST,
        "port": PORT,
        "user": USER,
        "host_key": HOST_KEYS,
        "host_ca": HOST_KEYS,
        "key": PLAIN,
        "passphrase": SECRET,
        "password": SECRET,
        "source_address": Several(Text(problem=source_address_problem), or_one=True),
        "shell": Text(choices=("lines",)),
    },
    required=("host", "user"),
    doc="An OpenSSH server; without key and password a certificate is signed for each session.",
    fixed={"kind": "ssh"},
)

COMMAND = Section(
    {
        "kind": PLAIN,
        "argv": WORDS_LIST,
        "cwd": PLAIN,
        "env": Named(VARIABLE, TextOr(PLAIN, SECRET)),
        "user": USER,
        "shell": Text(choices=("lines", "patterns")),
    },
    required=("argv",),
    doc="A local program.",
    fixed={"kind": "command"},
)

BLOCK: dict[str, Shape] = {
    "actions": WORDS_LIST,
    "tables": WORDS_LIST,
    "functions": WORDS_LIST,
    "commands": WORDS_LIST,
    "paths": WORDS_LIST,
    "max_rows": Whole(1, 1_000_000_000),
    "unbounded": Truth(),
    "terminal": Truth(),
}
REVIEW: dict[str, Shape] = BLOCK | {
    "approvers": WHO,
    "quorum": Whole(1, 20),
    "expires": Duration(SECOND, 7 * DAY),
    "max_affected": Affected(),
}
DENY = {key: shape for key, shape in BLOCK.items() if key != "max_rows"}

RULE = Section(
    {
        "name": Text(pattern=NAME.pattern, form=NAME_FORM, problem=rule_name_problem),
        "who": WHO,
        "targets": WORDS_LIST,
        "allow": Section(BLOCK, doc="What is let through."),
        "review": Section(REVIEW, required=("approvers",), doc="What waits for people."),
        "deny": Section(DENY, doc="What is refused."),
        "reason": PLAIN,
        "when": Named(CLAIM_NAME, CLAIM_PATTERNS),
    },
    required=("name", "who", "targets"),
    doc="All rules that match are weighed: deny beats review beats allow; none is a denial.",
)

MASKING = Section(
    {
        "detect": Several(Text(choices=DETECTORS), may_be_empty=True),
        "columns": Named(PLAIN, Text(choices=tuple(style.value for style in Style))),
        "reveal": Several(
            Section(
                {
                    "who": WHO,
                    "targets": WORDS_LIST,
                    "detect": Several(Text(choices=DETECTORS)),
                    "review": Truth(),
                },
                required=("who", "targets", "detect"),
                doc="Who may see which values unmasked.",
            ),
            may_be_empty=True,
        ),
    },
    doc="Which values are masked in everything that goes back.",
)

EXAMPLE = Section(
    {
        "as": Several(Text(problem=who_problem), or_one=True),
        "target": PLAIN,
        "statement": PLAIN,
        "verdict": Text(choices=("allow", "review", "deny")),
        "rule": PLAIN,
    },
    required=("as", "target", "statement", "verdict"),
    doc="A statement and the verdict that it must get (`interlock test`).",
)

LIMITS = Section(
    {
        "sessions": Whole(1, 1_000_000),
        "sessions_per_identity": Whole(1, 1_000_000),
        "connections": Whole(1, 1_000_000),
        "connections_per_identity": Whole(1, 1_000_000),
        "logins_per_source": Whole(1, 1_000_000),
    },
    doc="How many at once of each, and how many logins a minute from one address.",
)

STORE_LOSS = Section(
    {"end_after": Duration(timedelta(), timedelta(hours=1))},
    required=("end_after",),
    doc="How long running sessions go on while the store is away.",
    else_say="must be end, keep or {end_after: 10s}",
)

FILE = Section(
    {
        "listen": PLAIN,
        "state": PLAIN,
        "store": Text(problem=store_problem),
        "user_ca": USER_CA,
        "trusted_user_cas": Several(PLAIN, may_be_empty=True),
        "issuers": Several(ISSUER, may_be_empty=True),
        "targets": Named(
            TARGET_NAME, ByKind({"postgres": POSTGRES, "ssh": SSH, "command": COMMAND})
        ),
        "rules": Several(RULE, may_be_empty=True),
        "masking": MASKING,
        "auditors": Several(Text(problem=who_problem), may_be_empty=True),
        "admins": Several(Text(problem=who_problem), may_be_empty=True),
        "idle_timeout": Duration(timedelta(), 7 * DAY),
        "limits": LIMITS,
        "session_ttl": Duration(SECOND, 7 * DAY),
        "drain": Duration(timedelta(), timedelta(hours=1)),
        "on_store_loss": TextOr(Text(choices=("end", "keep")), STORE_LOSS),
        "log": Text(choices=("text", "json")),
        "examples": Several(EXAMPLE, may_be_empty=True),
    },
    doc="Interlock's configuration.",
)


def json_schema() -> dict[str, Any]:
    """The whole file as JSON Schema, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "interlock.yaml",
        **FILE.schema(),
    }
