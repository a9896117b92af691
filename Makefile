# `make help` lists the targets. Everything is installed into .venv and made under lake/.
SHELL := /bin/bash
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
PY := .venv/bin/python
STAMP := .venv/.installed
BENCH_STAMP := .venv/.bench-installed
DOCS_STAMP := .venv/.docs-installed
export MLFLOW_DISABLE_TELEMETRY := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# of pip's many lines: how far it has got
define PIP_PROGRESS
/^Collecting/ && ++n % 40 == 0 { print "  " n " packages found" } \
/^Installing collected/ { print "  installing " n + 0 " packages" } \
/^Successfully installed/ { print "  done" } \
{ fflush() }
endef

.DEFAULT_GOAL := help
.PHONY: help install demo ui test lint bench docs clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv; again only when pyproject.toml or constraints.txt change

# The editable install is stamped with the two files it depends on, so it is redone when one of them changes.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and '$(PYTHON)' is not there: install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed and '$(PYTHON)' is $$($(PYTHON) -V 2>&1): install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is needed: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "setting up .venv (some minutes and 2.5 GB, once)"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@set -o pipefail; $(PY) -m pip install --progress-bar off -c constraints.txt -e '.[dev]' | awk '$(PIP_PROGRESS)'
	@touch $@

# Spark needs a Java of 17 or newer, found as Spark finds it: JAVA_HOME first, then the path.
.PHONY: java
java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; \
	version=$$("$$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'); \
	[ "$${version:-0}" -ge 17 ] || { echo "Java 17 or newer is needed and '$$java' is $${version:+Java $$version}$${version:-not there}: install it (Debian, Ubuntu: apt install openjdk-17-jre-headless)" >&2; exit 1; }

demo: java $(STAMP) ## the whole daily pipeline on a simulated world, in minutes; then the two UIs until Ctrl-C
	@$(PY) -m dags.local.demo

ui: $(STAMP) ## Airflow and MLflow over what is there, until Ctrl-C
	@$(PY) -m dags.local.services

# a file's tests stay together, so that they share its Spark session and fixtures
test: java $(STAMP) ## all tests, two files at a time
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## ruff and mypy
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy

bench: $(BENCH_STAMP) ## speed of reader, scoring, pruned networks, and next to torch-rechub: some minutes on an idle machine
	@for part in reader scoring pruned rechub; do OMP_WAIT_POLICY=PASSIVE $(PY) -m tests.bench.$$part || exit; done

# torch-rechub is there to be compared with, and needed by nothing else.
$(BENCH_STAMP): $(STAMP)
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@

docs: $(DOCS_STAMP) ## these documents as a site: open site/index.html
	@$(PY) -m docs.generate build/docs
	@.venv/bin/zensical build --clean --strict

$(DOCS_STAMP): $(STAMP)
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

clean: ## remove lake/: all that the demo and your runs made
	rm -rf lake

distclean: clean ## remove .venv and all caches too
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .cache build site *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
