# `make` lists what there is; every target does all its own set-up.
PYTHON ?= python3
V := .venv/bin
# Files in the order given, what takes long first. Integration tests mostly wait: three at a time keep two cores busy.
BY_FILE := --dist loadfile --no-loadscope-reorder
export APP PORT MAIL_PORT ACCOUNTS

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 16

up: .venv/.up    ## run the whole product here (APP=http://localhost:3000 puts your application behind it; ACCOUNTS=on)
	@./latchwire up

check: lint      ## the inner loop: lint, types, unit and contract tests
	$(V)/pytest -q -n 2 tests/unit tests/contract

test: .venv/.dev ## every test, against the real servers
	@sh tests/support/install-debian.sh && $(V)/python -m tests.support.real_provider
	$(V)/pytest -q -n 3 $(BY_FILE) tests/integration tests/contract tests/unit
	$(V)/pytest -q -n 2 $(BY_FILE) tests/e2e && $(V)/pytest -q -n 2 $(BY_FILE) tests/faults

lint: .venv/.dev ## ruff, mypy --strict, import contracts
	$(V)/ruff check . && $(V)/ruff format --check .
	$(V)/mypy && PYTHONPATH=.:sdk/src $(V)/lint-imports

faults: .venv/.dev ## only the fault tests: whatever dies, stops, is cut off or full
	$(V)/pytest -q -n 2 $(BY_FILE) tests/faults
explore: .venv/.dev ## only the properties, with random inputs, 20 times as many (EXPLORE=200: more)
	EXPLORE=$(or $(EXPLORE),20) $(V)/pytest -q -n 2 --timeout=0 -m hypothesis tests/unit tests/integration
bench: .venv/.dev ## the figures, as ratios of paired runs on this machine
	PYTHONPATH=.:sdk/src $(V)/python -m tests.bench

lock: .venv/.dev ## pin requirements/*.in again, with hashes and without index addresses
	sh requirements/lock.sh

.venv/.up: requirements/embedded.txt requirements/install.sh
	@sh requirements/install.sh "$(PYTHON)" embedded $@
.venv/.dev: requirements/dev.txt requirements/install.sh
	@sh requirements/install.sh "$(PYTHON)" dev $@
.PHONY: help up check test lint faults explore bench lock
