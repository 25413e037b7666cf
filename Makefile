# Everything that a fresh machine with Python and make needs; plain `make` lists the targets.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# The targets work on the project's own PostgreSQL in ./.chatdb and nowhere else: no setting of the
# environment, and no .env, is seen by what they run.
CLEAN_ENV = env -i PATH="$$PATH" HOME="$$HOME" TERM="$$TERM" LANG="$${LANG:-C.UTF-8}" \
            $${NO_COLOR:+NO_COLOR="$$NO_COLOR"}
CHATDB = $(CLEAN_ENV) $(BIN)/chatdb
OURS = --env-file /dev/null --embedded

.DEFAULT_GOAL := help
.PHONY: help up down demo test test-quick lint format docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.chatdb ## start a PostgreSQL of this project and take the chat schema to its newest version
	@echo '$$ chatdb setup'; $(CHATDB) setup $(OURS)
	@echo '$$ chatdb migrate status'; $(CHATDB) migrate status $(OURS)

down: $(VENV)/.chatdb ## stop that PostgreSQL; its data stays
	@echo '$$ chatdb server stop'; $(CHATDB) server stop --env-file /dev/null

demo: $(VENV)/.chatdb ## a tour in a folder of its own, which is removed at the end
	@$(CLEAN_ENV) sh examples/tour.sh $(abspath $(BIN))

test: $(VENV)/.dev ## run the tests, against every PostgreSQL of this machine
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

test-quick: $(VENV)/.dev ## run the essential tests, in less than a minute
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n 2 --dist worksteal -m quick $(ARGS)

lint: $(VENV)/.dev ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.chatdb ## write docs/errors.md from the code, docs/schema.md from a database with sql/up
	$(BIN)/python docs/errors.py
	@$(CLEAN_ENV) $(BIN)/python docs/schema.py

clean: ## remove what was built; never a database
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find chatdb_cli tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "error: $(PYTHON) can't make a virtual environment (on Debian: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.chatdb: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.chatdb
