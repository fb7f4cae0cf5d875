# Two commands do everything, the environment included: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Whatever the libraries write (caches, temporary files, settings) stays inside the checkout.
CACHE := $(CURDIR)/.cache
export TMPDIR := $(CACHE)/tmp
export XDG_CACHE_HOME := $(CACHE)/xdg
export XDG_CONFIG_HOME := $(CACHE)/xdg-config
export MPLCONFIGDIR := $(CACHE)/matplotlib
export KERAS_HOME := $(CACHE)/keras
export PIP_CACHE_DIR := $(CACHE)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# pip asks for the version of a Rust compiler; rustup's would leave its settings at home.
export RUSTUP_HOME := $(CACHE)/rustup
export PYTHONDONTWRITEBYTECODE :=
# Keras 2: tensorflow-privacy and TFX's examples need it, and it must be chosen before TensorFlow is imported.
export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL := 1
# A notebook service is part of TFX's dependencies; its settings must not be looked for at home.
export JUPYTER_CONFIG_DIR := $(CACHE)/jupyter
export IPYTHONDIR := $(CACHE)/ipython

# A file of tests stays in one process: importing TensorFlow costs more than most tests.
PARALLEL := --numprocesses 2 --dist loadfile
# The fast tests, and the share of the package that they run: it has a floor (pyproject.toml).
FAST := .venv/bin/pytest $(PARALLEL) -m 'not slow' --junitxml=.cache/reports/fast.xml
SLOW := .venv/bin/pytest $(PARALLEL) -m slow --junitxml=.cache/reports/slow.xml
COVERAGE := $(FAST) --cov --cov-report=term

# What tells one generation of TFX from another: pipelines that run, compile, and run as compiled; TFX's own examples.
OF_GENERATION := tests/pipelines tests/third_party tests/project/test_existing_pipelines.py tests/components/test_dp_trainer.py \
  tests/components/test_privacy_evaluator.py tests/components/test_budget_validator.py

.PHONY: help env demo test test-generation test-fast coverage test-long mutation check docs format release lock clean clean-env

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

env: ## Create .venv from a lock (the other targets do it themselves); TFX=1.16 or TFX=1.21 chooses it
	@mkdir -p $(TMPDIR)
	@./scripts/bootstrap.sh

demo: env ## Run the Chicago Taxi pipeline three times: pushed, refused, refused
	@.venv/bin/tfx-privacy demo --output demo_output

test: check ## Linters, types, layers, every test, and the tests of the tests
	.venv/bin/python tests/mutation/run.py
	$(COVERAGE)
	$(SLOW)
	.venv/bin/python scripts/tried.py

test-generation: check ## Of the other generation of TFX (TFX=1.16, or scripts/debian13.sh): types, fast tests, demo, pipelines
	$(FAST)
	.venv/bin/tfx-privacy demo --output demo_output
	$(SLOW) $(OF_GENERATION)
	.venv/bin/python scripts/tried.py

mutation: env ## Apply every privacy bug of tests/mutation/mutants/: the fast tests must find each
	.venv/bin/python tests/mutation/run.py

test-fast: env ## The tests a developer runs while working
	$(FAST)

coverage: env ## The fast tests with coverage, which must not fall below its floor
	$(COVERAGE)

test-long: env ## What takes many minutes: 1,600 kills, 1,000 races, 10,000 histories, every byte of a ledger
	.venv/bin/pytest -m long -s

docs: env ## Build docs/ and the docstrings into .cache/site
	@NO_MKDOCS_2_WARNING=true .venv/bin/mkdocs build --quiet --strict

check: env docs ## Linters, type checks, layer contracts, declared dependencies, documentation and its prose
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/deptry .
	.venv/bin/python scripts/prose.py

format: env ## Format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

release: env ## Check and build a release: changelog, sdist, wheel, digests; uploads nothing
	@.venv/bin/python scripts/release.py

lock: ## Resolve pyproject.toml into locks/ again
	@mkdir -p $(TMPDIR)
	@./scripts/lock.sh

clean: ## Remove what the demo and the tools wrote
	rm -rf demo_output build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache/tmp

clean-env: clean ## Remove the environment and all caches as well
	rm -rf .venv .cache
