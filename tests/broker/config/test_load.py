from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from broker.config.load import find, load, warnings
from broker.errors import ConfigError
from broker.mask.rules import Reveal, Style
from broker.model import Kind
from broker.policy.rules import Block
from broker.targets import CommandTarget, PostgresTarget, SecretSource, SshTarget
from tests.broker.config.samples import (
    DESIGN,
    ENVIRON,
    ISSUERS,
    TARGETS,
    loaded,
    only,
    refused,
)


def test_the_sample_of_the_design_loads_as_it_is_meant(tmp_path: Path) -> None:
    config = loaded(tmp_path, DESIGN)
    assert (config.host, config.port) == ("0.0.0.0", 2222)  # noqa: S104 - the sample's
    assert config.state == Path("/var/lib/interlock")
    assert config.hash == hashlib.sha256(DESIGN.encode()).hexdigest()
    github, corp = config.issuers
    assert github.kind is Kind.AGENT
    assert github.require == {"repository_owner": ("acme",)}
    assert (github.groups, github.acting_for) == (("ci", "repo:{repository}"), "{actor}")
    assert (github.keep, github.ttl) == (("run_id", "workflow_ref", "ref"), timedelta(minutes=10))
    assert (corp.client_id, corp.groups_claim) == ("interlock-cli", "groups")
    assert corp.ttl == timedelta(minutes=15)


def test_the_targets_of_the_sample(tmp_path: Path) -> None:
    targets = loaded(tmp_path, DESIGN).targets
    assert targets == {
        "orders": PostgresTarget(
            "orders",
            "db.internal",
            5432,
            "app",
            "orders",
            "verify-full",
            None,
            SecretSource(env="ORDERS_PASSWORD"),
        ),
        "web1": SshTarget("web1", "web1.internal", 22, "deploy", ("ssh-ed25519 AAAA...",)),
        "cache": CommandTarget("cache", ("redis-cli", "-h", "cache.internal")),
    }


def test_the_rules_and_the_masking_of_the_sample(tmp_path: Path) -> None:
    config = loaded(tmp_path, DESIGN)
    read, write, unbounded, ops = config.rules
    assert read.allow == Block(actions=("select", "explain"), tables=("public.*",), max_rows=10000)
    assert write.review == Block(
        actions=("insert", "update", "delete"),
        approvers=("group:dba",),
        quorum=1,
        expires=timedelta(minutes=15),
    )
    assert unbounded.deny == Block(actions=("update", "delete"), unbounded=True)
    assert unbounded.targets == ("*",)
    assert ops.allow is not None
    assert ops.review is not None
    assert ops.review.approvers == ("group:sre",)
    assert [rule.line for rule in config.rules] == [36, 40, 44, 49]
    assert config.masking.columns == {
        "orders:public.customers.email": Style.PARTIAL,
        "orders:*.*.ssn": Style.REDACT,
    }
    assert config.masking.reveal == (Reveal(("group:dba",), ("orders",), ("email",), review=True),)


def test_defaults_listen_only_to_this_machine(tmp_path: Path) -> None:
    config = loaded(tmp_path, "log: json\n")
    assert (config.host, config.port, config.log) == ("127.0.0.1", 2222, "json")
    assert config.auditors == ("group:auditors",)


def test_every_problem_is_told_at_once_with_its_line_and_a_hint(tmp_path: Path) -> None:
    text = DESIGN.replace("issuers:", "isuers:", 1)
    text = text.replace("quorum: 1", "quorum: one").replace("kind: ssh", "kind: shh")
    text = text.replace("drop", "").replace("targets: [web1]", "targets: [web2]")
    text = text.replace("listen: 0.0.0.0:2222", "listen: 0.0.0.0:99999")
    assert refused(tmp_path, text, {}) == [
        "1: listen: `0.0.0.0:99999` is not HOST:PORT (such as 127.0.0.1:2222 or [::1]:2222)",
        "4: isuers: unknown key `isuers` (did you mean `issuers`?)",
        "26: targets.orders.password: the environment variable ORDERS_PASSWORD is not set",
        "28: targets.web1.kind: `shh` is not one of postgres, ssh, command (did you mean `ssh`?)",
        "43: rules[1].review.quorum: must be a whole number in decimal",
        "51: rules[3] (ops).targets: there is no target `web2` (did you mean `web1`?)",
    ]


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("localhost", "localhost", 2222),
        ('"[::1]:2222"', "::1", 2222),
        ("broker.example.com:22", "broker.example.com", 22),
    ],
)
def test_listen(tmp_path: Path, written: str, host: str, port: int) -> None:
    config = loaded(tmp_path, f"listen: {written}\n")
    assert (config.host, config.port) == (host, port)


@pytest.mark.parametrize("written", ["::1", '":2222"', "host:", "host:123456", "h ost:1", "a:b"])
def test_listen_refuses(tmp_path: Path, written: str) -> None:
    assert only(tmp_path, f"listen: {written!r}\n".replace("'", '"').replace('""', '"')).startswith(
        "1: listen: "
    )


def test_a_number_for_an_address_is_explained(tmp_path: Path) -> None:
    assert only(tmp_path, "listen: 2222\n") == (
        "1: listen: YAML takes this for a number; for a text put it in quotes"
    )


def test_listen_and_state_are_overridden(tmp_path: Path) -> None:
    file = tmp_path / "i.yaml"
    file.write_text("listen: 1.2.3.4:1\nstate: here\n")
    assert load(file, environ={}).state == tmp_path / "here"
    config = load(file, listen="[::1]:0", state=Path("/other"), environ={})
    assert (config.host, config.port, config.state) == ("::1", 0, Path("/other"))


def test_a_bad_override_is_told_together_with_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "i.yaml"
    file.write_text("lissen: 1\n")
    with pytest.raises(ConfigError) as caught:
        load(file, listen="nowhere:no", environ={})
    assert [str(problem).split(":")[0] for problem in caught.value.problems] == [
        "command line",
        str(file),
    ]


def test_a_bad_store_is_refused_without_repeating_its_address(tmp_path: Path) -> None:
    said = only(tmp_path, "store: postgresql://u:hunter2@db/\n")
    assert said == "1: store: names no database: postgresql://USER@HOST:5432/DATABASE"
    assert "hunter2" not in said


def test_the_stores_password_is_accepted_and_warned_of_and_never_shown(tmp_path: Path) -> None:
    dsn = "postgresql://u:hunter2@db/interlock"
    config = loaded(tmp_path, DESIGN.replace("store: sqlite", f"store: {dsn}"))
    assert config.store == dsn
    assert "hunter2" not in repr(config)
    said = [warning for warning in warnings(config) if warning.startswith("store: ")]
    assert said == [
        "store: its password is in this file; passfile=, PGPASSFILE or PGPASSWORD keep it out",
        "store: sslmode=prefer does not prove which server answers",
    ]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", environ={})


def test_warnings_say_what_is_accepted_and_not_done(tmp_path: Path) -> None:
    said = warnings(loaded(tmp_path, DESIGN))
    assert said == ["masking.reveal is not applied in this version: values stay masked"]


def test_warnings_of_a_careless_file(tmp_path: Path) -> None:
    text = TARGETS.replace("127.0.0.1", "db.example.com")
    text += "rules: [{name: all, who: ['*'], targets: ['*'], allow: {}}]\n"
    assert warnings(loaded(tmp_path, text)) == [
        "issuers is empty: nobody can log in",
        "rules: all allows everything on its targets",
        "targets.db: sslmode=prefer does not prove which server answers",
    ]
    assert "rules is empty: everything is denied" in warnings(loaded(tmp_path, ISSUERS))


def test_no_secret_is_in_the_config_or_its_repr(tmp_path: Path) -> None:
    assert ENVIRON["ORDERS_PASSWORD"] not in repr(loaded(tmp_path, DESIGN))


def test_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"INTERLOCK_CONFIG": "/elsewhere.yaml"}
    assert find("/told.yaml", environ) == Path("/told.yaml")
    assert find(None, environ) == Path("/elsewhere.yaml")
    (tmp_path / "interlock.yaml").touch()
    assert find(None, {}) == Path("interlock.yaml")
