"""A PostgreSQL target by every way in, with the server's own log as the probe."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.fixtures.forward import forwarded

if TYPE_CHECKING:
    from tests.fixtures.demo import Demo

pytestmark = pytest.mark.peer

SECRETS = ("ada.byron@example.com", "219-09-9999", "4111 1111 1111 1111", "340000000000009")


def test_a_command_prints_masked_rows_and_its_exit_code(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", "SELECT name, email, ssn, card FROM customers ORDER BY id")
    assert ran.returncode == 0, ran.stderr
    assert "Ada Byron" in ran.stdout
    assert "(4 rows)" in ran.stdout
    assert not [secret for secret in SECRETS if secret in ran.stdout]
    bars = {line.rindex("|") for line in ran.stdout.splitlines()[2:-2]}
    assert len(bars) == 1, "masking moved the columns"


def test_psql_with_its_safe_options(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", 'psql -At -c "SELECT count(*) FROM customers"')
    assert (ran.returncode, ran.stdout) == (0, "4\n"), ran.stderr
    bad = demo.ssh("orders@agent", "psql -o /tmp/x -c 'SELECT 1'")
    assert bad.returncode == 64
    assert "-o" in bad.stderr


def test_an_error_of_the_server_is_the_servers_own(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", "SELECT nonsense FROM customers")
    assert ran.returncode == 1
    assert 'column "nonsense" does not exist' in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("DROP TABLE customers /* one */", "no-ddl"),
        ("DROP/**/TABLE/*x*/customers", "no-ddl"),
        ("DELETE FROM refunds /* all */", "no-unbounded-writes"),
        ("SELECT 1; DROP TABLE customers", "no-ddl"),
        ("EXPLAIN ANALYZE DELETE FROM refunds WHERE 1=1", "no-unbounded-writes"),
        ("SELECT pg_read_file('/etc/hostname')", "default"),
        ("COPY customers TO PROGRAM 'cat'", "default"),
        ("SET standard_conforming_strings = off", "default"),
    ],
)
def test_a_denied_statement_never_reaches_the_server(demo: Demo, statement: str, rule: str) -> None:
    ran = demo.ssh("orders@agent", statement)
    assert ran.returncode == 77, ran.stderr
    assert rule in ran.stderr
    assert "interlock: denied by" in ran.stderr
    assert not demo.database_saw(statement)


def test_a_denial_as_json_is_one_object_of_the_contract(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", "DROP TABLE orders", json_format=True)
    assert ran.returncode == 77
    (line,) = ran.stderr.strip().splitlines()
    denial = json.loads(line)
    assert denial["interlock"] == 1
    assert denial["verdict"] == "deny"
    assert denial["rule"] == "no-ddl"
    assert denial["statement"].rstrip(";\n") == "DROP TABLE orders"
    assert denial["digest"].startswith("sha256:")
    assert denial["review"] is None
    assert set(denial) == {
        *("interlock", "verdict", "rule", "reason", "statement", "digest", "review")
    }


def test_a_script_runs_in_order_and_stops_at_a_refusal(demo: Demo) -> None:
    script = "SELECT 'first' AS a;\nDROP TABLE orders;\nSELECT 'third' AS c;\n"
    ran = demo.ssh("orders@agent", given=script)
    assert ran.returncode == 77
    assert "first" in ran.stdout
    assert "third" not in ran.stdout
    assert not demo.database_saw("'third'")


def test_a_script_stops_at_an_error_as_psql_does(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", given="SELECT 1/0;\nSELECT 'after';\n")
    assert ran.returncode == 3
    assert "division by zero" in ran.stderr
    assert "after" not in ran.stdout


def test_the_last_statement_of_a_script_needs_no_line_end(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", given="SELECT 'tail' AS t")
    assert ran.returncode == 0
    assert "tail" in ran.stdout


@pytest.mark.parametrize("line", ["\\! id", "\\o /tmp/x", "\\i /etc/passwd", "\\c template1"])
def test_meta_commands_that_leave_psql_are_refused(demo: Demo, line: str) -> None:
    ran = demo.ssh("orders@agent", given=line + "\nSELECT 'after';\n")
    assert ran.returncode == 77
    assert "interlock: " in ran.stderr
    assert "after" not in ran.stdout


def test_describing_works_under_a_read_grant(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", given="\\d customers\n\\dt\n")
    assert ran.returncode == 0, ran.stderr
    assert "email" in ran.stdout
    assert "refunds" in ran.stdout


def test_a_stock_psql_through_a_forward(demo: Demo) -> None:
    with forwarded(demo, "agent") as port:
        psql = demo.psql(port, "SELECT name, email FROM customers ORDER BY id LIMIT 1")
        assert psql.returncode == 0, psql.stderr
        assert psql.stdout.startswith("Ada Byron|")
        assert SECRETS[0] not in psql.stdout
        denied = demo.psql(port, "TRUNCATE orders")
    assert denied.returncode == 1
    assert "interlock: denied by no-ddl" in denied.stderr
    assert not demo.database_saw("TRUNCATE orders")


def test_psycopg_through_a_forward(demo: Demo) -> None:
    with forwarded(demo, "agent") as port:
        conninfo = f"host=127.0.0.1 port={port} dbname=orders user=whoever"
        with psycopg.connect(conninfo, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT name, card FROM customers WHERE id = %s", [1]
            ).fetchall()
            assert rows == [("Ada Byron", "*" * len("4111 1111 1111 1111"))]
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="interlock: denied"):
                connection.execute("DROP TABLE refunds")
            assert connection.execute("SELECT 2").fetchone() == (2,)
    assert not demo.database_saw("DROP TABLE refunds")


def test_every_way_in_gives_the_same_verdict_and_is_recorded(demo: Demo) -> None:
    statement = "SELECT 'one way', email FROM customers WHERE id = 2"
    outs = [
        demo.ssh("orders@agent", statement).stdout,
        demo.ssh("orders@agent", given=statement + ";\n").stdout,
    ]
    with forwarded(demo, "agent") as port:
        outs.append(demo.psql(port, statement).stdout)
    assert all("one way" in out and "grace" not in out for out in outs)
    recorded = 0
    for one in demo.json("broker@auditor", "sessions --json")[:3]:
        cast = demo.ssh("broker@auditor", f"play {one['id']}").stdout
        assert "grace.murray" not in cast
        recorded += "allow agents-read: SELECT 'one way'" in cast
    assert recorded == 3


def test_the_forward_is_recorded_as_people_would_read_it(demo: Demo) -> None:
    with forwarded(demo, "agent") as port:
        demo.psql(port, "SELECT 'recorded row' AS r, email FROM customers WHERE id = 1")
    newest = demo.json("broker@auditor", "sessions --json")[0]
    cast = demo.ssh("broker@auditor", f"play {newest['id']}").stdout
    shown = "".join(
        event[2] for line in cast.splitlines()[1:] if (event := json.loads(line))[1] == "o"
    )
    assert "recorded row" in shown
    assert SECRETS[0] not in shown


def test_output_of_a_large_result_is_whole(demo: Demo) -> None:
    sql = "SELECT n, repeat('x', 40) FROM generate_series(1, 9000) n"
    ran = demo.ssh("orders@agent", f'psql -At -c "{sql}"')
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 9000


def test_a_row_bound_is_an_error_and_not_a_silent_cut(demo: Demo) -> None:
    ran = demo.ssh("orders@agent", "psql -At -c 'SELECT generate_series(1, 20000)'")
    assert ran.returncode != 0
    assert "10000 rows" in ran.stderr


def test_no_credential_of_the_target_is_anywhere_a_client_can_see(demo: Demo) -> None:
    password = (demo.folder / "app-password").read_text()
    ran = demo.ssh("-v", "orders@agent", "SHOW password_encryption")
    listed = subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout
    casts = [path.read_text() for path in (demo.folder / "state").rglob("*.cast")]
    log = (demo.folder.parent / "demo.err").read_text()
    for text in (ran.stdout, ran.stderr, listed, log, *casts):
        assert password not in text
