# Needs only Python and make; plain `make` lists the targets.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# The targets use only the project's own PostgreSQL in ./.chatdb: the commands that they run see neither the
# settings of the environment nor those of .env files.
CLEAN_ENV = env -i PATH="$$PATH" HOME="$$HOME" TERM="$$TERM" LANG="$${LANG:-C.UTF-8}" \
            $${NO_COLOR:+NO_COLOR="$$NO_COLOR"}
CHATDB = $(CLEAN_ENV) $(BIN)/chatdb
OURS = --env-file /dev/null --embedded

.DEFAULT_GOAL := help
.PHONY: help up down demo test test-quick lint format docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/.chatdb ## start a PostgreSQL for this project and apply the chat schema
	@echo '$$ chatdb setup --dir @chat'; $(CHATDB) setup --dir @chat $(OURS)
	@echo '$$ chatdb migrate status --dir @chat'; $(CHATDB) migrate status --dir @chat $(OURS)

down: $(VENV)/.chatdb ## stop that PostgreSQL; its data is kept
	@echo '$$ chatdb server stop'; $(CHATDB) server stop --env-file /dev/null

demo: $(VENV)/.chatdb ## run a tour in a temporary folder
	@$(CLEAN_ENV) sh examples/tour.sh $(abspath $(BIN))

test: $(VENV)/.dev ## run the tests against every PostgreSQL on this machine
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

test-quick: $(VENV)/.dev ## run the essential tests, in less than a minute
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n 2 --dist worksteal -m quick $(ARGS)

lint: $(VENV)/.dev ## check style, types, and which package imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.chatdb ## generate the pages of docs/ that are made from the code or a database
	$(BIN)/python docs/checks.py
	$(BIN)/python docs/errors.py
	$(BIN)/python docs/library.py
	$(BIN)/python docs/logs.py
	$(BIN)/python docs/metrics.py
	$(BIN)/python docs/rules.py
	$(BIN)/python docs/statements.py
	@$(CLEAN_ENV) $(BIN)/python docs/schema.py

clean: ## remove build files and caches, but no database
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find chatdb_cli tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; use a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "error: $(PYTHON) cannot create a virtual environment (on Debian: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.chatdb: pyproject.toml | $(BIN)/python
	@echo 'installing chatdb and its libraries into $(VENV): a minute, the first time'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo 'installing chatdb, its libraries and those of its tests into $(VENV): a minute, the first time'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.chatdb
