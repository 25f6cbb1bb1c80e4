# `make` alone shows the targets. Needs Python 3.11+ and the package registries, nothing else.
PYTHON ?= python3
SHELL := /bin/sh
# Nothing is written to the user's home, which may not be there.
export UV_CACHE_DIR := $(CURDIR)/build/cache/uv
export PIP_CACHE_DIR := $(CURDIR)/build/cache/pip
export UV_NO_CONFIG := 1
export UV_PYTHON_DOWNLOADS := never

VENV := .venv
SERVERS := .venv-servers
BENCH := .venv-bench
RUN := $(CURDIR)/$(VENV)/bin
UV = build/bootstrap/bin/uv
SYNC = $(UV) pip sync --quiet --require-hashes --strict --compile-bytecode
PIN = $(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate \
      --custom-compile-command "make lock"
export PATH := $(RUN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test soak check bench stack mwaa-bundle indexer-zip lock environment servers clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: environment servers ## 100,000 items into OpenSearch through Airflow, watched; Ctrl-C ends it
	@$(RUN)/python -m tools.local.demo

# Two at a time, a file each: most of them wait for servers. The longest begin first.
test: environment servers ## the whole test suite, on real servers
	@$(RUN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/system tests/integration tests/unit tests/dags

soak: environment servers ## what must run longer; results in build/soak.json
	@$(RUN)/python -m pytest tests/soak

check: environment ## format, lint, types, fast tests
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy
	@$(RUN)/python -m pytest --quiet tests/unit tests/dags

bench: environment servers $(BENCH)/.made ## speed and memory beside other ways; results in build/bench.json
	@$(RUN)/python -m tools.bench

stack: environment servers ## only the servers, until Ctrl-C; a shell sources build/stack.env
	@$(RUN)/python -m tools.local.stack

mwaa-bundle: environment ## what Amazon's managed Airflow takes, in build/
	@$(RUN)/python -m tools.mwaa_bundle

# make indexer-zip ARGS="--python 3.12 --architecture arm64"
indexer-zip: environment ## the reference indexer as Lambda takes it, in build/indexer/
	@$(RUN)/python -m tools.indexer_zip $(ARGS)

lock: $(UV) ## compile every requirements*.in anew
	@echo requirements.txt  # Without hashes: pip 23, which Python 3.11 brings, refuses extras beside them.
	@$(PIN) --output-file requirements.txt requirements.in
	@for name in requirements-dev requirements-servers requirements-bootstrap requirements-bench; do \
		echo "$$name.txt"; $(PIN) --generate-hashes --output-file $$name.txt $$name.in || exit 1; done

clean: ## remove the environments and everything in build/
	rm -rf $(VENV) $(SERVERS) $(BENCH) build .hypothesis .mypy_cache .pytest_cache .ruff_cache

environment: $(VENV)/.made

servers: $(SERVERS)/.made build/jars/.made

# An environment is made anew when its requirements change; else nothing is installed.
$(VENV)/.made: requirements-dev.txt | $(UV)
$(SERVERS)/.made: requirements-servers.txt | $(UV)
$(BENCH)/.made: requirements-bench.txt | $(UV)
$(VENV)/.made $(SERVERS)/.made $(BENCH)/.made:
	@echo "Installing $< into $(@D)"
	@test -x $(@D)/bin/python || $(PYTHON) -m venv --without-pip $(@D)
	@$(SYNC) --python $(@D)/bin/python $<
	@touch $@

build/jars/.made: tools/local/jars.lock $(SERVERS)/.made
	@echo "Bringing the servers' jars"
	@$(SERVERS)/bin/python -m tools.local.jars
	@touch $@

$(UV): requirements-bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another one: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv build/bootstrap
	@build/bootstrap/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
