# Every target installs what it needs: `make demo` and `make test` work on a fresh clone with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PARTS := crds controller webhook gateway kubectl_xtrinode sandbox
WORKERS ?= auto
RESULTS := bench/results

.DEFAULT_GOAL := help
.PHONY: help install demo sandbox check format test test-compiled lock manifests controlplane clean
.PHONY: bench bench-gateway bench-profile bench-load bench-memory bench-reload bench-soak bench-controller

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with the locked dependencies

# uv where it is, plain pip where it is not; both verify the hashes of requirements.lock.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "xtrinode needs Python 3.11 or newer; found: $$($(PYTHON) --version). Type: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (once; a minute or so)"
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock && \
	  uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(STAMP)

demo: $(STAMP) ## kubectl apply to SQL rows on this machine, then stop; exits 0 when all of it worked
	@$(BIN)/xtrinode-sandbox demo

sandbox: $(STAMP) ## the same system, left running until Ctrl-C
	@$(BIN)/xtrinode-sandbox up

check: $(STAMP) ## ruff, mypy strict, import contracts, generated files in step
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m crds.openapi --check
	$(BIN)/python tools/reference.py --check

format: $(STAMP) ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(STAMP) ## the whole suite, fast tiers first: unit, contract, wire, cluster, clients
	$(BIN)/pytest -n $(WORKERS) tests/unit tests/contract tests/wire
	tools/test-compiled -q -n $(WORKERS)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup tests/cluster tests/clients

test-compiled: $(STAMP) ## the gateway's part of it on a compiled copy (needs a C compiler; `make test` runs it, too)
	tools/test-compiled -n $(WORKERS)

controlplane: ## build the real control plane that `make test` then also runs against (needs Go; once, cached)
	@tools/build-controlplane

manifests: $(STAMP) ## rewrite crds/manifests and docs/reference from the types and settings
	$(BIN)/python -m crds.openapi
	$(BIN)/python tools/reference.py

lock: ## rewrite requirements.lock (names, versions, hashes; no addresses); needs uv
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate -q -o requirements.lock

# Every benchmark prints one JSON line last, and leaves its results in bench/results.
bench: bench-gateway bench-profile bench-load bench-memory bench-reload bench-soak bench-controller ## every benchmark; give it the machine for two hours

bench-gateway: $(STAMP) build/compiled ## the gateway beside nginx, haproxy and an aiohttp proxy (needs nginx, haproxy, wrk)
	$(BIN)/python -m bench.gateway.compare --compiled build/compiled --results $(RESULTS)/gateway-compare.json

bench-profile: $(STAMP) build/compiled ## where the gateway's time goes, by function and by shared object
	$(BIN)/python -m bench.gateway.profile --compiled build/compiled --results $(RESULTS)/gateway-profile.json

bench-load: $(STAMP) build/compiled ## Locust users that submit, poll, cancel and think
	$(BIN)/python -m bench.gateway.load --variant express --compiled build/compiled --results $(RESULTS)/gateway-load.json

bench-memory: $(STAMP) build/compiled ## a worker with 1,000 routes and 10,000 live queries
	$(BIN)/python -m bench.gateway.memory --variant express --compiled build/compiled --results $(RESULTS)/gateway-memory.json

bench-reload: $(STAMP) build/compiled ## from a changed route to its effect, with 5,000 routes
	$(BIN)/python -m bench.gateway.reload --routes 5000 --variant express --compiled build/compiled --results $(RESULTS)/gateway-reload.json

bench-soak: $(STAMP) build/compiled ## twenty minutes of trouble: memory and descriptors must stay flat
	$(BIN)/python -m bench.gateway.soak --variant express --compiled build/compiled --results $(RESULTS)/gateway-soak.json

bench-controller: $(STAMP) controlplane ## 100 runtimes at once on the real API server (needs Go or KUBEBUILDER_ASSETS)
	$(BIN)/python -m bench.controller --runtimes 100

build/compiled: $(STAMP) $(shell find gateway crds -name '*.py' -o -name '*.pyx')
	$(BIN)/python -m bench.gateway.compile $@
	@touch $@

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
