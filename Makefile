# The two commands that do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# What one process of the tests has compiled, the others need not compile again.
export PYTHONDONTWRITEBYTECODE :=
# How many processes share the tests; 0 runs them in one, which a debugger needs.
TEST_WORKERS ?= auto

.PHONY: demo test coverage lint docs faults deliveries connections bills loops hosts workers clients older-suite notebook simulations soak bench clean

.venv/penstock: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[analysis]'
	touch $@

.venv/installed: .venv/penstock
	$(BIN)/pip install --quiet --editable '.[dev,docs]'
	touch $@

demo: .venv/penstock
	$(BIN)/penstock run docs/examples/quickstart/study.yaml

test: .venv/installed
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal

# The same, and which branches no test takes; to count them costs two thirds more.
coverage: .venv/installed
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal --cov --cov-report=term

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Kills a study more than a hundred times, tries every case, and writes the page that says so.
faults: .venv/installed
	PENSTOCK_FAULT_SERIES=8 PENSTOCK_BILLS=200 PENSTOCK_FAULTS_REPORT=docs/reliability.json \
		$(BIN)/python -m pytest tests/faults
	$(BIN)/python docs/make_reliability.py

# Kills a study a hundred times while its webhook posts, and looks what arrived.
deliveries: .venv/installed
	PENSTOCK_DELIVERY_KILLS=100 $(BIN)/python -m pytest tests/faults/test_deliveries.py --timeout 1200

# Opens 10,000 connections that say nothing to the live page, and to the socket of a study.
connections: .venv/installed
	PENSTOCK_CONNECTIONS=10000 $(BIN)/python -m pytest tests/web/test_serving.py \
		tests/control/test_channel.py -k "say_nothing"

# Runs 200 studies with budgets that fail, are interrupted and are killed, against the bill.
bills: .venv/installed
	PENSTOCK_BILLS=200 $(BIN)/python -m pytest tests/faults/test_bills.py

# Kills agents of twenty turns a hundred times, and has a thousand with tools in flight.
loops: .venv/installed
	PENSTOCK_LOOPS=100 $(BIN)/python -m pytest -n auto tests/faults/test_loops.py

# Runs a thousand random studies in random hosts on each kind of event loop.
hosts: .venv/installed
	PENSTOCK_HOSTS=1000 $(BIN)/python -m pytest -n auto tests/random_host

# Kills a hundred workers of a study and twenty drivers, and measures what workers cost and gain.
workers: .venv/installed
	$(BIN)/python benchmarks/workers.py

# Asks the simulated provider with clients that others wrote, which are installed apart, and runs
# their SDKs inside agents: 85 MB that take longer to import than a room's tests to run.
clients: .venv/installed
	$(BIN)/pip install --quiet --target .clients 'litellm[proxy]' inspect_ai
	$(BIN)/pip install --quiet anthropic langchain-openai 'pydantic-ai-slim[openai]'
	PENSTOCK_CLIENTS=$(CURDIR)/.clients $(BIN)/python -m pytest tests/proof/test_real_clients.py \
		tests/proof/test_real_sdks.py

# Runs the tests of the runner before this one; SUITE is a checkout of its repository at 0.3.0.
older-suite: .venv/installed
	PENSTOCK_OLDER_SUITE=$(abspath $(SUITE)) $(BIN)/python -m pytest tests/proof/test_older_suite.py

# Executes a notebook in a kernel of its own, which is installed with what runs it.
notebook: .venv/installed
	$(BIN)/pip install --quiet nbclient ipykernel
	$(BIN)/python -m pytest tests/proof/test_notebook.py

# Draws 2,000 studies of each kind, and fails where tests and intervals are not right often enough.
simulations: .venv/installed
	$(BIN)/python benchmarks/simulated_studies.py --write

# Runs a study for twenty minutes with faults on, and writes what it held to the same page.
soak: .venv/installed
	$(BIN)/python benchmarks/soak.py --json docs/soak.json
	$(BIN)/python docs/make_reliability.py

# Takes a quarter of an hour and replaces benchmarks/last.json.
bench: .venv/installed
	$(BIN)/python benchmarks/suite.py

clean:
	rm -rf .venv .clients artifacts site
