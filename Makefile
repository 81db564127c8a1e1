# `make run` runs the default study, `make test` the tests; both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test setup
run: setup
	. $(BIN)/activate && snakemake --cores all

test: setup
	$(BIN)/python -m pytest

setup: .venv/.ready

# uv does the work where it can be had; plain pip otherwise. Compiled bytecode makes each job start in a third of the time.
.venv/.ready: pyproject.toml envs/requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv || true
	if [ -x $(BIN)/uv ]; then \
	    VIRTUAL_ENV=.venv $(BIN)/uv pip install --compile-bytecode -e '.[test]' -c envs/requirements.txt; \
	else \
	    $(BIN)/python -m pip install -e '.[test]' -c envs/requirements.txt; \
	fi
	touch $@
