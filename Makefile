# `make run` runs the default study, `make test` the tests, `make why` tells what would run; all set up .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test why setup
run: setup
	. $(BIN)/activate && snakemake --cores all

test: setup
	$(BIN)/python -m pytest

# What would run, why, and what it would cost: make why ARGS="--configfile studies/smoke.yaml"
why: setup
	@. $(BIN)/activate && python -m distillation_dynamics.plan $(ARGS)

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
