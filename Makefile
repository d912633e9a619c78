# One command for each thing that people do here; .ci/run uses the same ones.
.PHONY: setup demo test check fix bench

VENV := .venv
BIN := $(VENV)/bin
# The tests wait for processes more than they compute; a file's fixtures stay in one worker.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadfile

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml uv.lock hatch_build.py broker/rows/native.c
	@./setup.sh $(VENV)
	@touch $@

demo: setup            ## a whole broker with sample data; Ctrl-C removes it
	@$(BIN)/interlock demo $(DEMO)

test: setup            ## every test, with real ssh, sshd, psql, postgres
	$(PYTEST)

check: setup           ## what CI runs: format, lint, types, contracts, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) || $(BIN)/python -m pytest --last-failed   # alone: what fails twice has failed

fix: setup             ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup           ## measurements; never part of the tests
	@for one in bench/*.py; do $(BIN)/python $$one; done
