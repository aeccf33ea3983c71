# The two commands that do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs bench clean

.venv/penstock: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed: .venv/penstock
	$(BIN)/pip install --quiet --editable '.[dev,docs]'
	touch $@

demo: .venv/penstock
	$(BIN)/penstock run docs/examples/quickstart/study.yaml
	$(BIN)/python docs/examples/quickstart/table.py

test: .venv/installed
	$(BIN)/python -m pytest --cov --cov-report=term

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/installed
	$(BIN)/python benchmarks/overhead.py

clean:
	rm -rf .venv artifacts site
