# Works on Debian 12 with nothing but python3 (3.11), python3-venv and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TRIALS := PYTHONPATH=tests $(BIN)/python -m trials
STAMP := $(VENV)/.set-up

.PHONY: setup run test check check-long bench faults soak receivers clients fuzz mutation price-diff docs screenshots clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; choose one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,test]'
	@touch $@

run: setup
	$(BIN)/taximeter serve

test: setup
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile

check-long: setup
	$(BIN)/pytest -m slow

bench: setup
	$(TRIALS).bench.overhead
	$(TRIALS).bench.price_speed

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

docs: setup # draws the generated parts of the documents
	PYTHONPATH=tests $(BIN)/python -m support.generated

screenshots: setup
	SCREENSHOTS=1 $(BIN)/pytest -q tests/test_console_page.py

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find pricing exporters proxy evaluation tests -name __pycache__ -prune -exec rm -rf {} +
