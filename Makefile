# `make demo`, `make check` and `make test` each set themselves up on a fresh machine, with what they need and no more.
PYTHON ?= python3
UV ?= $(shell command -v uv)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pip would compile all that it installs, of which a run imports a part: that part is compiled when it is first imported,
# and kept. Images that say not to keep it make each of the many processes of a run compile it again.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(if $(UV),$(UV) pip install --python $(BIN)/python,$(BIN)/pip install --no-compile) --quiet --constraint constraints.txt
# MOSES's data lie in a wheel whose code nobody imports. What that code needs is left out, so the wheel is away while the
# environment is checked.
MOSES = $(if $(findstring dev,$(EXTRA))$(findstring molecules,$(EXTRA))$(wildcard $(READY)-dev $(READY)-molecules),$(INSTALL) --no-deps molsets)
REMOVE := $(if $(UV),$(UV) pip uninstall --quiet --python $(BIN)/python,$(BIN)/pip uninstall --quiet --yes)
CHECK := $(if $(UV),$(UV) pip check --quiet --python $(BIN)/python,$(BIN)/pip check)
DEMO ?= grid demo
PYTEST_ARGS ?=
GRID ?= demo
BENCH ?=
STORE ?= lsd-data/store
GRIDS ?= countdown countdown-256 countdown-exact scattered lists sudoku rivals text text-infill digits

.DEFAULT_GOAL := help
.PHONY: help setup dev molecules demo bench results docs check test lint style format clean stack stack-demo stack-status stack-down

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv and install in it what a run needs, in tested versions; by uv where it is installed.

dev: $(READY)-dev ## The same, and what tests, types and the servers of `make stack` need.

molecules: $(READY)-molecules ## The same, and what grids of molecules need, MOSES's data among it.

$(READY)-dev: EXTRA := [dev]
$(READY)-molecules: EXTRA := [molecules]
$(READY)-stack: EXTRA := [stack]
$(READY)-docs: EXTRA := [docs]
$(READY) $(READY)-dev $(READY)-molecules $(READY)-stack $(READY)-docs: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit(f"PYTHON must be 3.11 or later, got {v}; try: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	-@$(REMOVE) molsets 2>/dev/null
	$(INSTALL) --editable '.$(EXTRA)'
	$(CHECK)
	$(MOSES)
	@touch $(READY) $@

demo: setup ## Distil, evaluate and register countdown samplers at demo sizes.
	$(BIN)/lsd $(DEMO)

stack: $(READY)-stack ## Start real servers on this machine (S3, PostgreSQL, MLflow, Prefect, Ray) and deploy the flows.
	$(BIN)/python -m infra.stack up

stack-demo: $(READY)-stack ## Start them, run GRID (demo) on them as a deployment, wait until it is Completed.
	$(BIN)/python -m infra.stack demo $(GRID)

stack-status: $(READY)-stack ## Say which of them run.
	$(BIN)/python -m infra.stack status

stack-down: $(READY)-stack ## Stop them; what is stored stays.
	$(BIN)/python -m infra.stack down

bench: setup ## Measure what a step, a teacher, prices and memory cost, in forward passes (BENCH="--shape middle" is quick).
	$(BIN)/lsd bench $(BENCH)

results: setup ## Write docs/results.md and the README's figures from the cards of GRIDS on STORE.
	$(BIN)/python -m flows.report.results_page $(STORE) $(GRIDS)

docs: $(READY)-docs ## Build the documentation as a site, in site/; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

style: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: style ## Lint, check the format and the types.
	$(BIN)/mypy

# The first check of the types takes a minute of one core, later ones seconds: they are checked beside the tests. Errors
# are shown when they are found and once more at the end, where they are not scrolled away.
check: style ## Lint, types and the fast tests: a developer's loop.
	$(BIN)/mypy & types=$$!; trap 'kill $$types; exit 130' INT; \
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not slow and not servers" $(PYTEST_ARGS); tests=$$?; \
	wait $$types || $(BIN)/mypy && exit $$tests

test: lint ## Everything: lint, types, tests (two files at a time; PYTEST_ARGS="-n 0" for one).
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder $(PYTEST_ARGS)

format: dev ## Rewrite the files in the project's format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and caches; lsd-data (your results) stays.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist site *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
