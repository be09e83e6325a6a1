# Needs make and Python 3.11 or 3.12, nothing else: `make demo` on a bare machine shows the system at work.
# Every path is relative and quoted where the shell sees it, so a checkout may lie in a folder with spaces.

SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready

# Set to use a certain interpreter: make setup PYTHON=/path/to/python3.12
PYTHON ?=
# Passed on by demo, test, bench, scale, chaos, mutations and lock: make test ARGS="-k decode"
ARGS ?=

# The stamp names the folder it was made for: console scripts and the editable install hold absolute paths, so
# an environment that was moved or copied along, or whose interpreter is gone, is set up again.
ifneq "$(shell test -x $(BIN)/python && cat $(READY) 2>/dev/null)" "$(CURDIR)"
OUTDATED := outdated
endif

.PHONY: help setup demo test long check bench scale chaos mutations lock clean outdated

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*##/make \1  /p' Makefile

setup: $(READY)  ## make .venv with the locked packages and this one (skipped when nothing changed)
	@echo '.venv is ready'

demo: $(READY)  ## start Kafka, Redis, a worker and a simulated shop, and show what happens
	@$(BIN)/stream demo $(ARGS)

test: $(READY)  ## run every test but the long ones
	@$(BIN)/python -m pytest $(ARGS)

long: $(READY)  ## run the long tests: crashes that a record causes, upgrades, history, repartitioning
	@$(BIN)/python -m pytest -m long tests/integration $(ARGS)

check: $(READY)  ## lint, format, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## measure against bare aiokafka, stock Faust, Quix Streams and Bytewax
	@$(BIN)/python -m benchmarks.throughput $(ARGS)

scale: $(READY)  ## measure 1, 2 and 4 workers together, and what they have to tell one another
	@$(BIN)/python -m benchmarks.scale $(ARGS)

chaos: $(READY)  ## kill, freeze and cut off workers for a quarter of an hour; then count everything again
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

mutations: $(READY)  ## take out one guard after the other, and see that its test fails
	@$(BIN)/python -m tests.mutations $(ARGS)

# One lock for both Pythons. Pins stay unless pyproject.toml rules them out: ARGS=--upgrade renews them all.
lock: $(READY)  ## write requirements.lock from pyproject.toml
	@tools="$$(mktemp -d)" && trap 'rm -rf "$$tools"' EXIT && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target "$$tools" 'uv>=0.9,<1' && \
	"$$tools/bin/uv" pip compile pyproject.toml --output-file requirements.lock --quiet --no-config \
	    --all-extras --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	    --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(ARGS)

clean:  ## remove .venv, caches and build outputs
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find stream tests benchmarks deploy -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml deploy/bootstrap.py $(OUTDATED)
	@for python in $(if $(PYTHON),"$(PYTHON)",python3.12 python3.11 python3 python); do \
	    if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then \
	        exec "$$python" deploy/bootstrap.py; \
	    fi; \
	done; \
	echo 'No Python 3.11 or 3.12 was found$(if $(PYTHON), at $(PYTHON)): install one, or name it with' \
	    'make setup PYTHON=/path/to/python.' >&2; exit 2
