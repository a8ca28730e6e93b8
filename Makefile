# Everything a newcomer types. Needs Python >= 3.11, make and a C compiler; nothing else of ours.
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
export UV_LINK_MODE ?= copy

.PHONY: setup demo test test-cluster fuzz docs lint lock envs schema clean

setup: $(VENV)/.ready

# Where Python may not write compiled files itself, every job would compile its imports again.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)

# uv installs the locked packages in well under a minute; pip alone would take several.
$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "specvit needs Python >= 3.11: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet $(COMPILE) --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/snakemake --cores $(CORES)

test: setup
	$(BIN)/python -m pytest -n auto --dist loadgroup

# Files and servers as accidents and enemies make them: the rounds of tests/hostile, many times.
ROUNDS ?= 28
fuzz: setup
	$(BIN)/python -m pytest -n auto --rounds $(ROUNDS) tests/hostile

# A real SLURM on this machine, from Debian's packages; needs root.
test-cluster: setup
	@for program in munged slurmctld slurmd sbatch; do \
		PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null && continue; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends munge slurmctld slurmd slurm-client >/dev/null || exit 1; \
	done
	$(BIN)/python -m pytest -m cluster tests/cluster

# The site, into site/; a broken link, or a name that is no longer there, is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# Pins every package, transitive ones too, for every platform; no index address is written.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate \
		--no-header --extra slurm --extra s3 --extra onnx --extra publish --group dev pyproject.toml \
		-o requirements.lock --upgrade

# Versions of the conda environments, after `make lock && make setup`.
envs: setup
	$(BIN)/python envs/pin.py envs/*.yaml

schema: setup
	$(BIN)/specvit schema --write workflow/schemas/config.schema.json

clean:
	rm -rf $(VENV) .snakemake
