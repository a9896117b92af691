# `make help` lists the targets. Packages are installed into .venv, results are written to lake/.
SHELL := /bin/bash
# the first of these that runs; `make PYTHON=...` names another
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do $$python -c '' 2>/dev/null && echo $$python && break; done)
PY := .venv/bin/python
STAMP := .venv/.installed
BENCH_STAMP := .venv/.bench-installed
DOCS_STAMP := .venv/.docs-installed
export MLFLOW_DISABLE_TELEMETRY := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON_HINT := Install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)

# condenses pip's output to its progress
define PIP_PROGRESS
/^Collecting/ && ++n % 40 == 0 { print "  " n " packages found" } \
/^Installing collected/ { print "  installing " n + 0 " packages" } \
/^Successfully installed/ { print "  done" } \
{ fflush() }
endef

.DEFAULT_GOAL := help
.PHONY: help install demo ui test lint bench docs clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv; repeated only when pyproject.toml or constraints.txt change

# The stamp depends on the two files that describe the environment: a change to either repeats the install.
$(STAMP): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] && command -v $(PYTHON) >/dev/null || { echo "error: no Python 3.11 or 3.12 found ('$(PYTHON)'). $(PYTHON_HINT)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' || { echo "error: '$(PYTHON)' is $$($(PYTHON) -V 2>&1), not 3.11 or 3.12. $(PYTHON_HINT)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: '$(PYTHON)' has no venv module. Install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "setting up .venv (a few minutes and 2.5 GB, once)"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@set -o pipefail; $(PY) -m pip install --progress-bar off -c constraints.txt -e '.[dev]' | awk '$(PIP_PROGRESS)'
	@touch $@

# Spark needs Java 17 or newer. It is found as Spark finds it: JAVA_HOME first, then the path.
.PHONY: java
java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; \
	version=$$("$$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'); \
	[ "$${version:-0}" -ge 17 ] || { echo "error: Java 17 or newer is needed, '$$java' is $${version:+Java }$${version:-missing}. Install it (Debian, Ubuntu: apt install openjdk-17-jre-headless)" >&2; exit 1; }

demo: java $(STAMP) ## run the whole pipeline on a simulated world (minutes), then serve Airflow and MLflow until Ctrl-C
	@$(PY) -m dags.local.demo

ui: $(STAMP) ## serve Airflow and MLflow over existing results until Ctrl-C
	@$(PY) -m dags.local.services

# the tests of a file run in one process and share its Spark session and fixtures
test: java $(STAMP) ## run all tests, two files at a time
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## check with ruff and mypy
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy

bench: $(BENCH_STAMP) ## measure the reader, scoring, pruned networks, domains and torch-rechub (minutes, on an idle machine)
	@for part in reader scoring pruned domains rechub; do OMP_WAIT_POLICY=PASSIVE $(PY) -m tests.bench.$$part || exit; done

# torch-rechub is only compared with; nothing else needs it.
$(BENCH_STAMP): $(STAMP)
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@

docs: $(DOCS_STAMP) ## build the documentation site; open site/index.html
	@$(PY) -m docs.generate build/docs
	@.venv/bin/zensical build --clean --strict

$(DOCS_STAMP): $(STAMP)
	@$(PY) -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

clean: ## remove lake/ with all results of the demo and of your runs
	rm -rf lake

distclean: clean ## remove .venv and all caches as well
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .cache build site *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
