# The commands of this project; `make` alone lists them.

CONFIG ?= config/default.yaml
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Where the report of CONFIG goes.
RESULTS = $(or $(shell sed -n 's/^results: *//p' $(CONFIG) 2>/dev/null),results)

LOCK = uv pip compile --quiet --universal --fork-strategy fewest --generate-hashes --python-version 3.11 \
       --no-emit-index-url --no-header $(UPGRADE) pyproject.toml
LOCKS := hosts/requirements

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev reproduce plan report nightly compare test check format bench lock clean-testbed clean

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 16

setup: ## Install what this machine lacks to run the experiments
	@hosts/setup.sh --role controller

setup-dev: ## The same, and what tests and checks need
	@hosts/setup.sh --role dev

# The plan is made first, because it refuses a config that cannot be read in one line; Snakemake would in fifty.
reproduce: setup ## Run the experiments of CONFIG=config/default.yaml and render the report
	@python -m hosts.plan --config $(CONFIG) > /dev/null
	snakemake --cores all --configfile $(CONFIG)
	@echo "The report is $(RESULTS)/report/index.html"

plan: setup ## Say what CONFIG would run, and how long it takes
	@python -m hosts.plan --config $(CONFIG)

report: setup ## Render the report from those blocks of CONFIG that are measured
	python -m report --results $(RESULTS) --out $(RESULTS)/report/index.html
	@echo "The report is $(RESULTS)/report/index.html"

nightly: CONFIG = config/nightly.yaml
nightly: setup ## Measure a night and say what got worse since those before (HISTORY=file, SUMMARY=file to append to)
	python -m report.watch night --config $(CONFIG) $(if $(HISTORY),--history $(HISTORY)) $(if $(SUMMARY),--summary $(SUMMARY))

compare: setup ## Say what differs between the results folders A=... and B=... (two machines, two branches)
	@python -m report.watch compare $(or $(A),$(error Name two results folders: make compare A=... B=...)) $(B)

bench: CONFIG = config/bench.yaml
bench: setup ## Compare the strategies side by side in rounds: results/bench.json and a table (CONFIG=config/bench.yaml, ANEW=1)
	@python -m hosts.bench --config $(CONFIG) $(if $(ANEW),--anew) && ended=0 || ended=$$?; \
	[ $$ended -le 1 ] || exit $$ended; \
	python -m report.bench --results $(RESULTS) --out $(RESULTS).json && exit $$ended

test: setup-dev ## Run all tests
	pytest

check: setup-dev ## Check format, style, types, layering and the workflow
	ruff format --check
	ruff check
	mypy
	lint-imports
	snakefmt --check Snakefile rules
	snakemake --lint

format: setup-dev ## Format the code
	ruff format
	ruff check --fix
	snakefmt Snakefile rules

lock: setup-dev ## Write the locks anew from pyproject.toml (newest versions: UPGRADE=--upgrade)
	$(LOCK) --output-file $(LOCKS)/dev.lock --extra inference --extra controller --extra dev
	$(LOCK) --output-file $(LOCKS)/device.lock --constraint $(LOCKS)/dev.lock
	$(LOCK) --output-file $(LOCKS)/inference.lock --constraint $(LOCKS)/dev.lock --extra inference
	$(LOCK) --output-file $(LOCKS)/controller.lock --constraint $(LOCKS)/dev.lock --extra inference --extra controller

clean-testbed: setup ## Remove whatever a local testbed left on this machine
	python -m hosts.testbed --reap --all

clean: ## Remove caches; results and .venv stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find hosts report rules tests workers -name __pycache__ -prune -exec rm -rf {} +
