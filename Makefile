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

# The versions that pyproject.toml claims, and the tests that would notice another one: processes,
# sockets, files, parsers, the engine, and exact arithmetic.
PYTHONS := 3.11 3.12 3.13
VERSIONED := $(addprefix tests/test_,cli.py cli_serve.py supervisor.py journal.py delivery.py relay*.py \
  websocket.py aiohttp_private.py reading*.py pricing_charge.py pricing_properties.py store.py)

.PHONY: setup run lint test thorough check pythons coverage check-long slow bench cost faults soak receivers clients gateway-clients inspect refusals fuzz mutation focus oracles price-diff routing-tables docs screenshots clean

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
	$(PYTEST) -m "not slow and not thorough"

thorough: setup # what takes more than a second or two: browsers, the whole product, the other store
	$(PYTEST) -q -m "thorough and not slow"

check: lint test

pythons: # each version at hand, others are named; pyenv: PYENV_VERSION=3.11.7:3.12.1:3.13.0 make pythons
	@for version in $(PYTHONS); do \
	  python$$version -c '' 2>/dev/null || { echo "Python $$version: not here, not tested"; continue; }; \
	  echo "Python $$version:"; \
	  python$$version -m venv .venv-$$version && \
	  .venv-$$version/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[embedded,test]' && \
	  .venv-$$version/bin/pytest -q -n $(WORKERS) --dist loadfile -m "not slow" $(VERSIONED) || exit 1; \
	done

coverage: setup
	$(PYTEST) -q -m "not slow" -k "not stall" --cov --cov-report= $(COVERING)
	@failed=0; for package in $(COVERED); do echo; echo "$$package"; \
	  $(BIN)/coverage report --include "$$package/*" --fail-under $(COVERED_PERCENT_MIN) || failed=1; \
	done; exit $$failed

check-long: coverage thorough slow

slow: setup # what takes more than ten seconds of CPU time
	$(PYTEST) -q -m slow

bench: setup # what proxies cost, into docs/performance.md; make bench BENCH=--quick only prints it
	$(TRIALS).bench $(or $(BENCH),--write)
	$(TRIALS).bench.price_speed
	$(TRIALS).bench.meter
	$(TRIALS).bench.start
	$(TRIALS).bench.doors

cost: setup # whether a call costs more CPU than recorded, against plain aiohttp
	$(TRIALS).bench.cost_check

faults: setup # kills, cuts and fills up everything; docs/reliability.md
	$(TRIALS).faults

soak: setup # a million calls, then an hour without a store; an hour and a half
	$(TRIALS).faults --only soak --only outage

receivers: setup # Phoenix, MLflow, Rotel and Prometheus read us; docs/telemetry.md
	$(TRIALS).receivers

clients: setup # real SDKs and agents through the proxy; docs/clients.md
	$(TRIALS).clients --write

inspect: setup # a task of Inspect's through the proxy, and its log imported; docs/evaluation.md
	$(TRIALS).inspected

refusals: setup # how well refusals are found, by the labels in PyRIT's wheel; docs/evaluation.md
	$(TRIALS).refusal_labels

gateway-clients: setup # real SDKs and agents through the gateway, at other providers; docs/translation.md
	$(TRIALS).translated --write

fuzz: setup # a million mutations of bodies through every parser; the same bytes through nginx and us
	$(TRIALS).fuzz
	$(TRIALS).fuzz.nginx

mutation: setup # changes the pricing code in a thousand ways: a test must notice each
	$(TRIALS).mutation

focus: setup # the bill by FOCUS through focus-validator, whose numpy is older than ours
	$(PYTHON) -m venv .venv-focus
	.venv-focus/bin/python -m pip install --quiet --disable-pip-version-check \
	  'focus-validator==1.0.0' 'multimethod<2'
	$(PYTEST) -q -n 0 tests/test_export_focus.py

oracles: setup # what we ask providers, and litellm and any-llm; any-llm's anthropic is older than ours
	$(PYTHON) -m venv .venv-oracles
	.venv-oracles/bin/python -m pip install --quiet --disable-pip-version-check \
	  'any-llm-sdk[anthropic,gemini]==1.40.2' 'litellm==1.110.2'
	$(PYTEST) -q -n 0 tests/test_gateway_oracles.py

price-diff: setup # make price-diff GENAI=data.json LITELLM=prices.json
	$(BIN)/taximeter tariffs compare $(if $(GENAI),--genai '$(GENAI)') $(if $(LITELLM),--litellm '$(LITELLM)')

routing-tables: setup # make routing-tables DATA=DIR; docs/decisions-guide.md
	$(BIN)/taximeter simulate tables '$(DATA)'

docs: setup # draws the generated parts of the documents
	PYTHONPATH=tests $(BIN)/python -m support.generated

screenshots: setup
	SCREENSHOTS=1 $(BIN)/pytest -q tests/test_console_page.py

clean:
	rm -rf build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find pricing exporters proxy evaluation tests -name __pycache__ -prune -exec rm -rf {} +
