# Needs Python 3.11 or newer, git and make. Everything it makes lies in .venv and .airlock, inside this folder.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up down test test-runtimes test-kills test-compose test-mlflow test-distribution bench bench-validation bench-registry fuzz check lock base-images clean
# A stop is the business of the program that runs; make must not lose its exit code or start the next line.
.NOTPARALLEL:

# The first of these that runs; any Python 3.8 will do to start, uv finds or fetches the right one.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV_PYTHON := .venv/bin/python
BOOTSTRAP := $(or $(PYTHON),python3) -m scripts.bootstrap

# make demo ENGINES=all, or names with commas: Scikit_Learn,XGBoost,PyTorch
ENGINES ?=
# docker, process, or auto: docker where an engine answers
BACKEND ?= auto
# make up PORT=9000; without it 8080 or the next free one
PORT ?=
# make test TESTS=tests/unit
TESTS ?= tests
# make test-runtimes ONLY=TensorFlow-python3.6 MEASURE=1: some rows, and their figures into docs/runtimes.md
# make test-runtimes LARGE=1: builds of more than 6 GB, too
ONLY ?=
LARGE ?=
MEASURE ?=
# make test-kills KILLS=200
KILLS ?= 50
# make fuzz FUZZ_S=60
FUZZ_S ?= 600
# make base-images PYTHONS="3.7 3.11"; without it all that the catalogue names
PYTHONS ?=

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## The virtual environment, from the lock
	@$(BOOTSTRAP)

setup-dev:
	@$(BOOTSTRAP) --dev

demo: BEGAN := $(shell date +%s)
demo: setup ## Train, upload, import and register the example models (ENGINES=all, BACKEND=auto|docker|process)
	@exec $(VENV_PYTHON) -m scripts.demo --engines "$(ENGINES)" --backend "$(BACKEND)" --began $(BEGAN)

up: setup ## Object server and Airflow in the foreground (PORT=8080, BACKEND=auto|docker|process)
	@exec $(VENV_PYTHON) -m scripts.local_run up $(if $(PORT),--port $(PORT)) $(if $(filter-out auto,$(BACKEND)),--backend "$(BACKEND)")

down: ## Stop what `make up` runs in another terminal
	@$(or $(PYTHON),python3) -m scripts.local_run down

test: setup-dev ## The whole test suite (TESTS=tests/unit)
	@exec $(VENV_PYTHON) -m pytest $(if $(filter tests,$(TESTS)),--numprocesses 2) $(TESTS)

test-runtimes: setup-dev ## Every runtime of the catalogue, built, trained in and served; long, needs Docker Engine
	@exec $(VENV_PYTHON) -m pytest tests/dag/test_runtimes.py tests/dag/test_accepted_packages.py tests/serving/test_boosting_engines.py \
		tests/serving/test_transformers_engine.py --runtimes $(if $(LARGE),--large) $(if $(MEASURE),--measure) $(if $(ONLY),-k "$(ONLY)")

test-compose: setup-dev ## docker-compose.yaml built, started and used for an import; long, needs Docker Engine
	@scripts/get-compose
	@DOCKER_CONFIG="$${DOCKER_CONFIG:-$$(scripts/get-compose --where)}" exec $(VENV_PYTHON) -m pytest tests/compose tests/dag/test_handed_over.py --compose

test-mlflow: setup-dev ## The registry mirrored into a real MLflow server, which is installed into .airlock
	@exec $(VENV_PYTHON) -m pytest tests/adapters/test_mlflow_mirror.py tests/dag/test_mirrored_imports.py --mlflow

test-distribution: setup-dev ## Airflow on two workers with disks and engines of their own, killed in every step; long, needs root
	@exec $(VENV_PYTHON) -m pytest tests/distributed --distribution

bench: setup-dev ## Speed against other tools, both sides in one run; writes build/bench.json (BENCH="--runs 3")
	@PYTHONPATH=plugins exec $(VENV_PYTHON) -m scripts.bench $(BENCH)

bench-validation: setup-dev ## Speed and memory of validation against its targets; writes build/bench-validation.json
	@exec $(VENV_PYTHON) -m scripts.bench_validation

test-kills: setup-dev ## SIGKILL at 50 random moments of a fetch, and a fetch of 10,000 objects (KILLS=50)
	@exec $(VENV_PYTHON) -m pytest tests/adapters/test_kills.py tests/adapters/test_many_objects.py --kills $(KILLS) --many

bench-registry: setup-dev ## Speed of the registry with 100,000 versions, on SQLite and PostgreSQL; writes build/bench-registry.json
	@PYTHONPATH=plugins exec $(VENV_PYTHON) -m scripts.bench_registry

fuzz: setup-dev ## Ten minutes of hostile input made up by chance (FUZZ_S=600)
	@AIRLOCK_FUZZ_S=$(FUZZ_S) exec $(VENV_PYTHON) -m pytest tests/fuzz -rP

check: setup-dev ## Style, types, and the tests that need nothing else
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m mypy
	@$(VENV_PYTHON) -m mypy --strict --python-version 3.11 scripts tests/platform
	@$(VENV_PYTHON) -m pytest tests/unit

lock: ## Resolve the requirements again and write the locks
	@$(BOOTSTRAP) --lock

base-images: ## The base images on a host without a container registry (root, Docker Engine, Debian, pyenv)
	@exec scripts/make-base-images $(PYTHONS)

clean: down ## Remove everything that was made here
	rm -rf .venv .airlock .mypy_cache .ruff_cache .pytest_cache .hypothesis
