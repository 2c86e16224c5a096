# Everything a newcomer runs. `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin

# Programs start hundreds of times in the tests, and would compile all of Instep each time where a machine sets this.
export PYTHONDONTWRITEBYTECODE :=

# One command a line in a POSIX shell that stops at the first error.
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.PHONY: help venv demo test unit lint services bench soak docs screenshots clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: .venv/installed  ## make the virtual environment (.venv) with pinned versions

.venv/installed: pyproject.toml constraints.txt .ci/venv
	@PYTHON=$(PYTHON) .ci/venv
	@touch $@

demo: venv  ## play the story on an embedded broker; stays up until Ctrl-C
	@$(BIN)/instep demo

lint: venv  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

services: venv  ## install the servers that tests start, where they are absent
	$(BIN)/python -m tests.services install

unit: venv  ## the instant tests alone
	$(BIN)/pytest tests/unit

# six at once: they wait more than they compute
test: venv  ## everything, with a real Kafka, PostgreSQL and MariaDB (installed when absent)
	$(MAKE) --no-print-directory --jobs=2 services lint
	$(BIN)/python -m tests.services run $(BIN)/pytest -m "not soak" -n 6 --dist worksteal

soak: services  ## kill workers and sink at random for ten minutes (or INSTEP_SOAK_MINUTES)
	$(BIN)/pytest -m soak -s

bench: services  ## measure against the bare loop and the JDBC sink; see benchmarks/RESULTS.md
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH)

docs: venv  ## regenerate the generated pages in docs/
	$(BIN)/python -m docs.generate

screenshots: services  ## take the pictures in docs/screenshots anew, with a real browser
	rm -f docs/screenshots/*.png
	INSTEP_SCREENSHOTS=docs/screenshots $(BIN)/python -m tests.services run $(BIN)/pytest -q tests/acceptance/test_page.py -k shuts_anybody_out

clean:  ## remove the virtual environment and what tools left behind
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
