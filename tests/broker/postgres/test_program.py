"""Which psql is run."""

from __future__ import annotations

from pathlib import Path

from broker.postgres.program import Program, can_restrict, find_psql


def test_the_psql_found_can_be_restricted() -> None:
    assert can_restrict(find_psql())


def test_a_wrapper_script_is_never_run(tmp_path: Path) -> None:
    script = tmp_path / "psql"
    script.write_text("#!/bin/sh\necho 'psql (PostgreSQL) 18.4'\n")
    script.chmod(0o755)
    assert not can_restrict(script)


def test_another_program_is_not_psql() -> None:
    assert not can_restrict(Path("/bin/true"))


def test_a_name_cannot_add_a_connection_parameter() -> None:
    program = Program(Path("/x"), database="a' host='evil", user="b\\")
    told = program.conninfo(Path("/run/s"))
    assert told.count("host='") == 1
    assert "dbname='a\\' host=\\'evil'" in told
    assert "user='b\\\\'" in told
