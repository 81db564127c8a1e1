# make run         runs the default study
# make look        analyses one network: make look NETWORK=... IMAGES=...
# make why         prints what would run, why, and what it would cost
# make files       lists the files of a study
# make bundle      writes a network as a folder that timm loads; make dataset: tables and features for `datasets`
# make clear       deletes a study; make unused: lists what no study uses
# make test        runs the tests of every change; make test-all: all tests; make lint: ruff, snakefmt, mypy
# make columns     prints the columns of every metric; make options: every key; make objectives: every objective
# Each of them sets up .venv first.
PYTHON ?= python3
BIN := .venv/bin

# quoted: the value of a variable as one shell word. given: an option with that value, if the command line sets it.
quoted = '$(subst ','\'',$(value $(1)))'
given = $(if $(and $(filter command,$(origin $(1))),$(value $(1))),$(2)=$(call quoted,$(1)))

.PHONY: run test test-all lint lowest why look columns options objectives bundle dataset files unused clear setup
run: setup
	. $(BIN)/activate && snakemake --cores all

# Each process takes whole test files, the longest first (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# All tests except those marked slow (SLURM, a browser, kills, long runs).
test: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow' $(ARGS)

test-all: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

# Runs the tests with the lowest versions that pyproject.toml allows, in an environment of their own.
lowest: setup
	$(BIN)/uv venv --clear --python $(BIN)/python .lowest
	VIRTUAL_ENV=.lowest $(BIN)/uv pip install --resolution lowest-direct -e '.[test]'
	.lowest/bin/python -m pytest $(ARGS)

# Prints what would run, why, and what it would cost. ARGS= takes snakemake options:
# make why ARGS="--configfile studies/smoke.yaml"
why: setup
	@. $(BIN)/activate && snakemake --dry-run --cores all --quiet progress rules reason host $(ARGS)

# Analyses one network on a folder of images: make look NETWORK=hf-hub:owner/name IMAGES=folder. NETWORK may also be
# local-dir:folder or a .safetensors file with MODEL=. SIZE= is the input size in pixels, GROUPS= a regular expression
# that groups crops of one photograph, NAME= the network's name in tables; FEATURES=1 keeps the features.
look: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.look $(call quoted,NETWORK) \
	    $(call quoted,IMAGES) $(call given,MODEL,--model) $(call given,NAME,--name) $(call given,SIZE,--size) \
	    $(call given,GROUPS,--groups) $(if $(filter-out 0 no,$(FEATURES)),--features) $(ARGS)
# GROUPS is also a variable of bash.
unexport GROUPS

# Prints the columns of every metric; make columns ARGS=rank those of one.
columns: setup
	@PYTHONPATH=workflow $(BIN)/python -m distillation_dynamics.columns $(ARGS)

# Prints every key of a configuration: docs/configuration.md.
options: setup
	@PYTHONPATH=workflow $(BIN)/python -m distillation_dynamics.options

# Prints every objective with formula, cost and source: docs/objectives.md.
objectives: setup
	@PYTHONPATH=workflow $(BIN)/python -m distillation_dynamics.catalogue

# Writes one network of a finished study as a folder that plain timm loads, with a model card:
# make bundle STUDY=default VARIANT=soft (SEED=, default: the first), or NETWORK=vit; ONNX=1 also writes ONNX.
bundle: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.share.bundle '$(or $(STUDY),default)' \
	    $(if $(VARIANT),--variant '$(VARIANT)') $(if $(SEED),--seed '$(SEED)') $(if $(NETWORK),--network '$(NETWORK)') \
	    $(if $(ONNX),--onnx)

# Writes tables and features of a finished study in Hugging Face's layout: make dataset STUDY=default.
dataset: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.share.dataset '$(or $(STUDY),default)'

# Lists the files of a study with stage, key, date, and whether each is up to date: make files STUDY=default, or only
# some stages or folders: make files ARGS="figures results/default/tables".
files: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.jobs.listing $(or $(STUDY),default) $(ARGS)

# Lists what no study uses in results/shared; make unused ARGS=--delete deletes it.
unused: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.jobs.store unused $(ARGS)

# Deletes a study, after a question; YES=1 answers it: make clear STUDY=default YES=1.
clear: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.jobs.store clear '$(or $(STUDY),default)' \
	    $(if $(YES),--yes)

setup: .venv/.ready

# Installs with uv if it can be installed, else with pip; the output goes to a log. Compiled bytecode makes each job start
# in a third of the time.
SETUP_LOG := .venv/setup.log
.venv/.ready: pyproject.toml envs/requirements.txt
	@echo "Setting up .venv: a few minutes and 6 GB the first time (log: $(SETUP_LOG))"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install uv > $(SETUP_LOG) 2>&1 || true
	@if [ -x $(BIN)/uv ]; then \
	    VIRTUAL_ENV=.venv $(BIN)/uv pip install --compile-bytecode -e '.[test]' -c envs/requirements.txt; \
	else \
	    $(BIN)/python -m pip install -e '.[test]' -c envs/requirements.txt; \
	fi >> $(SETUP_LOG) 2>&1 || { tail -n 20 $(SETUP_LOG); echo "error: setup failed; see $(SETUP_LOG)"; exit 1; }
	@touch $@
