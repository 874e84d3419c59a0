# What a newcomer needs; each target installs what it uses. `make help` tells.
BIN := .venv/bin
DEMO_DATA ?= otel_obs_demo

.DEFAULT_GOAL := help
.PHONY: help install system collector compose-env demo test lint format types arch generate generated check bench lock
.PHONY: clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

.venv/.installed: pyproject.toml requirements/dev.txt requirements/tools.txt scripts/install
	@sh scripts/install
	@touch $@

install: .venv/.installed ## make .venv with everything

system: ## what the tests run as processes: Prometheus and Alertmanager, by Debian's packages
	@sh scripts/system

collector: ## build our OpenTelemetry Collector, unless it is there
	@sh scripts/collector

compose-env: ## make up the passwords of deploy/compose, once
	@sh scripts/compose-env

demo: install ## see it work: two real bots, a store, the answers
	@$(BIN)/otel-obs demo --data $(DEMO_DATA)

test: system install collector ## run every test
	$(BIN)/pytest

lint: install ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: install ## let ruff format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

types: install ## mypy, strict
	$(BIN)/mypy

arch: install ## the arrows between the rooms
	$(BIN)/lint-imports

generate: install ## write docs/reference/, docs/runbooks/ and the rules from their tables
	$(BIN)/python -m otel_obs.codegen

generated: install ## fail if a generated file is not what it would be
	$(BIN)/python -m otel_obs.codegen --check

check: lint types arch generated test ## all of the above

bench: install ## measure: ours and the stock SDK's in the same run
	$(BIN)/python benchmarks/run.py

lock: install ## pin and hash the requirements anew
	@sh scripts/lock

clean: ## remove what was made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis otel_obs_demo dist build
