# `make demo` and `make test` each set themselves up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= grid demo
PYTEST_ARGS ?=
GRID ?= demo
BENCH ?=
STORE ?= lsd-data/store
GRIDS ?= countdown countdown-256 countdown-exact text-full digits-full

.DEFAULT_GOAL := help
.PHONY: help setup demo bench results test lint format clean stack stack-demo stack-status stack-down

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv and install the tested set of packages in it.

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit(f"PYTHON must be 3.11 or later, got {v}; try: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]' --constraint constraints.txt
	$(BIN)/pip check
	@touch $@

demo: setup ## Distil, evaluate and register countdown samplers at demo sizes.
	$(BIN)/lsd $(DEMO)

stack: setup ## Start real servers on this machine (S3, PostgreSQL, MLflow, Prefect, Ray) and deploy the flows.
	$(BIN)/python -m infra.stack up

stack-demo: setup ## Start them, run GRID (demo) on them as a deployment, wait until it is Completed.
	$(BIN)/python -m infra.stack demo $(GRID)

stack-status: setup ## Say which of them run.
	$(BIN)/python -m infra.stack status

stack-down: setup ## Stop them; what is stored stays.
	$(BIN)/python -m infra.stack down

bench: setup ## Measure what a step, a teacher, prices and memory cost, in forward passes (BENCH="--shape middle" is quick).
	$(BIN)/lsd bench $(BENCH)

results: setup ## Write docs/results.md and the README's figures from the cards of GRIDS on STORE.
	$(BIN)/python -m flows.report.results_page $(STORE) $(GRIDS)

lint: setup ## Lint, check the format and the types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## Everything: lint, types, tests (two files at a time; PYTEST_ARGS="-n 0" for one).
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

format: setup ## Rewrite the files in the project's format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and caches; lsd-data (your results) stays.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
