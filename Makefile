# What a person types; .ci/run types the same. All that it writes lies in .venv and .chainflow.

CODE := src tests dags benchmarks
BIN := .venv/bin
NODE := .chainflow/node

# The first Python that is new enough and can make a virtual environment; PYTHON=... overrides.
ASK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for found in python3 python3.13 python3.12 python3.11; do \
	$$found -c '$(ASK)' 2>/dev/null && { echo $$found; break; }; done)

.PHONY: help install demo test soak check bench matrix node
help:  ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile

install: .venv/installed  ## chainflow and all that it is developed with, into .venv

demo: .venv/installed node  ## Simulated chains into PostgreSQL under a real Airflow; ONCE=1 ends when all are synced
	$(BIN)/chainflow demo $(if $(ONCE),--once)

test: .venv/installed node  ## All tests: on real Airflow, real PostgreSQL and real EVM nodes too
	$(BIN)/python -m pytest

soak: .venv/installed node  ## The long forms: 800 kills, storms of faults and forks, any interleaving; over an hour
	CHAINFLOW_SOAK=1 $(BIN)/python -m pytest tests/nodes/test_kill.py tests/nodes/test_faults.py \
		tests/nodes/test_reorg_anvil.py tests/dags/test_worker_killed.py tests/contract/test_store_machine.py

check: .venv/installed  ## Format, lint, types, and who imports whom
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed  ## The numbers of benchmarks/, measured on this machine
	$(BIN)/python -m benchmarks

matrix: .venv/installed  ## DAGs, and what protobuf decodes, on each Airflow that constraints/ has pins of
	$(BIN)/python tests/dags/matrix.py

# Bytecode is compiled here, on all cores, because the environment may forbid Python to write it
# later, and every task is a new process. Packages may ship files that are no Python: never mind.
.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "chainflow needs Python 3.11 or newer with venv; none was found as" \
		"python3, python3.13, python3.12 or python3.11. Name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo 'Installing what constraints.txt pins into .venv; that takes a minute or a few'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib src || true
	@touch $@

node:  ## The EVM nodes that demo and test run where npm is there
	@if [ -n "$$CHAINFLOW_NODES" ]; then :; \
	elif ! command -v npm >/dev/null; then \
		echo "npm is not there: no real EVM node, the tests and the demo do without"; \
	elif ! cmp -s tests/nodes/package.json $(NODE)/installed; then \
		mkdir -p $(NODE) && cp tests/nodes/package.json $(NODE)/ && \
		npm install --prefix $(NODE) --no-audit --no-fund --no-package-lock --loglevel=error && \
		cp tests/nodes/package.json $(NODE)/installed || \
		echo "npm failed: no real EVM node, the tests and the demo do without"; \
	fi
