# Every target makes the virtual environment it needs, from nothing but Python 3.10 or newer.
.DEFAULT_GOAL := help
.PHONY: help demo test slow check lint format types imports bench docs clean

# The first Python that is new enough; `make PYTHON=/path/to/python …` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
RUN := .venv/bin/python -m
JOBS ?= 2

help: ## Show what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 16

demo: .venv/demo-ready ## Play the whole story in a sandbox: two releases, two rollbacks
	$(RUN) bgdeploy demo

test: .venv/dev-ready ## Run the tests
	$(RUN) pytest -n $(JOBS) --dist loadfile -m "not bench and not slow"

slow: .venv/dev-ready ## Run the tests that take their time: whole stories in every variant
	$(RUN) pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "slow and not bench"

check: lint types imports test slow ## All that must hold before a change lands

lint: .venv/dev-ready ## Check style and format
	$(RUN) ruff check .
	$(RUN) ruff format --check .

format: .venv/dev-ready ## Format the code
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

types: .venv/dev-ready ## Check the types
	$(RUN) mypy

imports: .venv/dev-ready ## Check that each layer imports only what lies below it
	.venv/bin/python -c 'from importlinter.cli import lint_imports_command as run; run()'

bench: .venv/dev-ready ## Measure speed, as ratios and call counts, and kill at every call
	$(RUN) tests.bench
	$(RUN) pytest -m bench

docs: .venv/dev-ready ## Renew the pages that are made from the code
	$(RUN) tests.resources.document
	$(RUN) bgdeploy.sandbox.operations docs/sandbox.md

clean: ## Remove what the other targets made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "bgdeploy needs Python 3.10 or newer with venv: install it, or: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/demo-ready: setup.cfg pyproject.toml | .venv/bin/python
	$(RUN) pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	@touch $@

.venv/dev-ready: setup.cfg pyproject.toml | .venv/bin/python
	$(RUN) pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/demo-ready
