# Everything runs in .venv, which the first target that needs it creates: with uv where it is
# installed, else with venv and pip; both take the same locked versions.

VENV := .venv
PYTHON ?= python3
RUN := $(VENV)/bin
TARGET ?= reference
WORKERS ?= 2
KAFKA_4 := 4.4.0
KAFKA_3 := 3.9.1+zookeeper
UV := $(shell command -v uv 2>/dev/null)

.PHONY: help conformance models test check format lock published interop clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo
	@echo 'make conformance TARGET=127.0.0.1:9092 aims the suite at a broker of yours.'

conformance: $(VENV)/ready ## run the suite against TARGET (default: reference) and write its report
	$(RUN)/pytest conformance --target=$(TARGET) -n $(WORKERS)

models: $(VENV)/ready ## explore, refute and prove the formal models
	$(RUN)/python -m spec explore --all --quiet
	$(RUN)/python -m spec prove --all --mutants --quiet --workers $(WORKERS)

test: $(VENV)/ready ## pass the tests of the project itself
	$(RUN)/pytest tests -n $(WORKERS)

check: $(VENV)/ready ## types, lint, formatting and the lock file
	$(RUN)/mypy
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/python -m tests.locks

format: $(VENV)/ready ## format the code and sort the imports
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

lock: ## resolve the dependencies anew (needs uv)
	uv lock --upgrade
	uv export --quiet --frozen --no-emit-project --no-header --output-file requirements.lock

published: models ## run every target and rewrite reports/published (needs Java and Maven)
	-for target in reference librdkafka-mock kafka:$(KAFKA_4) kafka:$(KAFKA_3); do \
	  $(RUN)/pytest conformance --target=$$target -n $(WORKERS) --report=build/published/$$target; \
	done
	-for mutant in $$($(RUN)/pytest --list-mutants | awk 'NF && !/^[0-9]/ {print $$1}'); do \
	  $(RUN)/pytest conformance --target=reference+$$mutant -x -q --tb=no \
	    $$($(RUN)/python -m reference.mutants $$mutant) --report=build/published/mutants/$$mutant; \
	done
	$(RUN)/python -m reports --out reports/published \
	  build/published/reference/evidence.ndjson build/published/kafka:$(KAFKA_4)/evidence.ndjson \
	  build/published/kafka:$(KAFKA_3)/evidence.ndjson \
	  build/published/librdkafka-mock/evidence.ndjson build/published/mutants/*/evidence.ndjson \
	  build/spec/evidence.ndjson
	$(RUN)/python -m reports.matrix reports/published/report.json README.md

clean: ## remove what was built; .venv too
	rm -rf build dist $(VENV)

ifdef UV
$(VENV)/ready: pyproject.toml uv.lock
	uv sync --frozen --quiet
	@touch $@
else
$(VENV)/ready: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Highwater needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
endif
