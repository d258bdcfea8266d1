# Each target builds what it needs: Python >= 3.11 and make are enough.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: test test-live check lint format-check types format demo bench kill-loop soak fuzz long clean help

help:
	@echo "make test | check | demo [ARGS=--once] | bench | lint | types | format | clean"
	@echo "make kill-loop | soak | fuzz | long   (minutes each; not part of test)"
	@echo "make test-live   (real OpenClaw gateways, downloaded once into .cache/live; minutes; not part of test)"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "status-watcher needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "The venv module is missing. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Tests wait more than they compute: five workers keep two cores busy.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses 5 --dist loadfile $(ARGS)

# Two real gateways on one machine, one after the other, in an order that needs few restarts.
test-live: $(READY)
	$(BIN)/python -m pytest -m live -p no:randomly --timeout 1200 tests/live $(ARGS)

kill-loop: $(READY)
	$(BIN)/python -m pytest -m long -s tests/system/test_kill_loop.py $(ARGS)

soak: $(READY)
	$(BIN)/python -m pytest -m long -s tests/system/test_soak.py $(ARGS)

fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=2.3,<4' || echo "no atheris for this Python" >&2
	$(BIN)/python -m pytest -m long -s tests/fuzz $(ARGS)

long: $(READY)
	$(BIN)/python -m pytest -m long $(ARGS)

lint: $(READY)
	$(BIN)/python -m ruff check .

format-check: $(READY)
	$(BIN)/python -m ruff format --check .

types: $(READY)
	$(BIN)/python -m mypy

check: lint format-check types test

format: $(READY)
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

demo: $(READY)
	$(BIN)/python -m status_watcher demo $(ARGS)

bench: $(READY)
	$(BIN)/python benchmarks/run.py $(ARGS)

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
