# Works on Debian 12 with nothing but python3 (3.11), python3-venv and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TRIALS := PYTHONPATH=tests $(BIN)/python -m trials
STAMP := $(VENV)/.set-up
# A worker more than cores, since tests wait for processes; files in their order, since the last
# ones are short and no worker waits long for another.
WORKERS := $(shell expr $$(nproc) + 1)
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# What must be covered (as in pyproject.toml), to how many percent, and the tests that do it: those
# that start no process.  Those that measure CPU time are left out: being measured takes time.
COVERED := pricing proxy/dialects proxy/reading proxy/tokens proxy/secrecy
COVERED_PERCENT_MIN := 95
COVERING := $(addprefix tests/test_,pricing_*.py reason*.py price_fields.py price_origins.py \
  price_readers.py price_seed.py price_updates.py bedrock_prices.py near_names.py budgets.py \
  budget_windows.py forecast.py dialect_*.py fees.py money.py payers.py token_audit.py \
  echoes.py clients_named.py meter_sockets.py \
  items.py usage_elsewhere.py unknown_quantities.py reading*.py framers*.py eventstream.py inflate.py \
  tokens*.py headers.py secrecy.py content_redaction.py relay_fingerprint.py)

# Routing tables with known answers, which are not part of the project.
DATA ?= ../shared/data/routing

# Tests start hundreds of processes: let them find our modules compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup run lint test check coverage check-long slow bench faults soak receivers clients fuzz mutation price-diff routing-tables docs screenshots clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; choose one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[embedded,security,test]'
	@touch $@

run: setup
	$(BIN)/taximeter serve

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

test: setup
	$(PYTEST) -m "not slow"

check: lint test

coverage: setup
	$(PYTEST) -q -m "not slow" -k "not stall" --cov --cov-report= $(COVERING)
	@failed=0; for package in $(COVERED); do echo; echo "$$package"; \
	  $(BIN)/coverage report --include "$$package/*" --fail-under $(COVERED_PERCENT_MIN) || failed=1; \
	done; exit $$failed

check-long: coverage slow

slow: setup # what takes more than ten seconds of CPU time
	$(PYTEST) -q -m slow

bench: setup
	$(TRIALS).bench.overhead
	$(TRIALS).bench.price_speed
	$(TRIALS).bench.start

faults: setup # kills, cuts and fills up everything; docs/reliability.md
	$(TRIALS).faults

soak: setup # a million calls, then an hour without a store; an hour and a half
	$(TRIALS).faults --only soak --only outage

receivers: setup # Phoenix, MLflow, Rotel and Prometheus read us; docs/telemetry.md
	$(TRIALS).receivers

clients: setup # real SDKs and agents through the proxy; docs/clients.md
	$(TRIALS).clients

fuzz: setup # a million mutations of bodies through every parser
	$(TRIALS).fuzz

mutation: setup # changes the pricing code in a thousand ways: a test must notice each
	$(TRIALS).mutation

price-diff: setup # make price-diff GENAI=data.json LITELLM=prices.json
	$(BIN)/taximeter tariffs compare $(if $(GENAI),--genai '$(GENAI)') $(if $(LITELLM),--litellm '$(LITELLM)')

routing-tables: setup # make routing-tables DATA=DIR; docs/decisions-guide.md
	$(BIN)/taximeter simulate tables '$(DATA)' $(if $(JSON),--json)

docs: setup # draws the generated parts of the documents
	PYTHONPATH=tests $(BIN)/python -m support.generated

screenshots: setup
	SCREENSHOTS=1 $(BIN)/pytest -q tests/test_console_page.py

clean:
	rm -rf build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find pricing exporters proxy evaluation tests -name __pycache__ -prune -exec rm -rf {} +
