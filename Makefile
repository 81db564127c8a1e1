# `make run` runs the default study, `make test` the tests of each day, `make test-all` every test, `make lint` what
# checks style and types, `make why` tells what would run, `make columns` the columns of metrics, `make options` every
# key of a configuration, `make objectives` every objective, `make bundle` and `make dataset` write what is shared,
# `make files` lists the files of a study, `make unused` what no study uses, `make clear STUDY=name` deletes a study;
# all set up .venv first.
PYTHON ?= python3
BIN := .venv/bin

# The value of a variable as one word for the shell, whatever is in it; and an option with it, where the command gives it.
quoted = '$(subst ','\'',$(value $(1)))'
given = $(if $(and $(filter command,$(origin $(1))),$(value $(1))),$(2)=$(call quoted,$(1)))

.PHONY: run test test-all lint lowest why look columns options objectives bundle dataset files unused clear setup
run: setup
	. $(BIN)/activate && snakemake --cores all

# Whole files go to a process each, the longest first (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What any change to the library can break; not what is marked slow (SLURM, a browser, kills, the long walks).
test: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m 'not slow' $(ARGS)

test-all: setup
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy

# The tests with the lowest versions of its dependencies that pyproject.toml allows, in an environment of their own.
lowest: setup
	$(BIN)/uv venv --clear --python $(BIN)/python .lowest
	VIRTUAL_ENV=.lowest $(BIN)/uv pip install --resolution lowest-direct -e '.[test]'
	.lowest/bin/python -m pytest $(ARGS)

# What would run, why, and what it would cost: make why ARGS="--configfile studies/smoke.yaml" (or other snakemake options)
why: setup
	@. $(BIN)/activate && snakemake --dry-run --cores all --quiet progress rules reason host $(ARGS)

# What one network does to images: make look NETWORK=hf-hub:owner/name IMAGES=folder (or a .safetensors file with MODEL=,
# or local-dir:folder), SIZE= pixels of its images, GROUPS= regular expression of names that are one photograph's, NAME=,
# FEATURES=1 to keep features; it writes the study, runs it, and ends with its figures and answer.
look: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.look $(call quoted,NETWORK) \
	    $(call quoted,IMAGES) $(call given,MODEL,--model) $(call given,NAME,--name) $(call given,SIZE,--size) \
	    $(call given,GROUPS,--groups) $(if $(filter-out 0 no,$(FEATURES)),--features) $(ARGS)
# A shell has a variable of this name.
unexport GROUPS

# The columns of every metric; make columns ARGS=rank of one.
columns: setup
	@PYTHONPATH=workflow $(BIN)/python -m distillation_dynamics.columns $(ARGS)

# Every key of a configuration: docs/configuration.md.
options: setup
	@PYTHONPATH=workflow $(BIN)/python -m distillation_dynamics.options

# Every objective, with formula, cost and source: docs/objectives.md.
objectives: setup
	@PYTHONPATH=workflow $(BIN)/python -m distillation_dynamics.catalogue

# One network of a finished study as a folder that plain timm loads, with a model card:
# make bundle STUDY=default VARIANT=soft SEED=50, or NETWORK=vit; ONNX=1 writes it as ONNX, too.
bundle: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.share.bundle '$(or $(STUDY),default)' \
	    $(if $(VARIANT),--variant '$(VARIANT)') $(if $(SEED),--seed '$(SEED)') $(if $(NETWORK),--network '$(NETWORK)') \
	    $(if $(ONNX),--onnx)

# Tables and features of a finished study as a data set of Hugging Face's layout: make dataset STUDY=default.
dataset: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.share.dataset '$(or $(STUDY),default)'

# The files of a study: path, stage, key, when written, and whether it is as the study asks: make files STUDY=default, or
# those of some stages or beginnings of paths: make files ARGS="figures results/default/tables".
files: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.jobs.listing $(or $(STUDY),default) $(ARGS)

# What in results/shared no study uses; make unused ARGS=--delete deletes it.
unused: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.jobs.store unused $(ARGS)

clear: setup
	@. $(BIN)/activate && PYTHONPATH=workflow python -m distillation_dynamics.jobs.store clear $(or $(STUDY),default)

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
