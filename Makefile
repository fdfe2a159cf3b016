# make demo    the demonstration: everything installed, started and shown; ARGS="--once --format json" for one document
# make up      the product: web server and workers; ARGS="--port 8080"
# make test    lint, types, contracts and every test
# make lock    pin what pyproject.toml asks for
# make clean   remove what was installed and stored here

SHELL := /bin/sh
# The system's certificates, as every other program here: uv's own know no certificate of a local mirror.
export UV_NATIVE_TLS := 1
# Images of containers often forbid to keep what Python compiles, so that each of our processes compiles a thousand modules anew:
# two thirds of the time in which it starts, and tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
RUN := $(VENV)/bin
CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3 python
PYTHON ?= $(shell for name in $(CANDIDATES); do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
TESTS ?= tests

.PHONY: demo up test lint lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/run.stamp
	@exec $(RUN)/python manage.py demo $(ARGS)

up: $(VENV)/run.stamp
	@exec $(RUN)/python manage.py up $(ARGS)

# In three parts of about the same length side by side, each with servers of its own: most tests wait, so that one alone
# leaves the cores idle. Whatever is not in the first two is in the third.
LONG := tests/paste_web/benchmarks tests/paste_web/test_chaos.py tests/paste_web/test_demonstration.py tests/paste_web/test_mcp.py
BESIDE := tests/speculation/test_raced_pairs.py
REST := $(filter-out tests/__pycache__/ tests/speculation/ tests/paste_web/,$(wildcard tests/*/)) $(wildcard tests/test_*.py) $(LONG)
test: lint
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| [ -n "$$PASTE_CHROMIUM" ] || echo "No Chromium here: the browser tests are skipped." >&2
	@[ "$(TESTS)" = tests ] || exec $(RUN)/python -m pytest -q $(TESTS) $(ARGS); \
	[ "$(TESTS)" != tests ] || { \
		$(RUN)/python -m pytest -q tests/speculation $(BESIDE:%=--ignore=%) $(ARGS) >$(VENV)/speculation.txt 2>&1 & first=$$!; \
		$(RUN)/python -m pytest -q tests/paste_web $(LONG:%=--ignore=%) $(BESIDE) $(ARGS) >$(VENV)/paste_web.txt 2>&1 & second=$$!; \
		$(RUN)/python -m pytest -q $(REST) $(ARGS); rest=$$?; \
		wait $$second; second=$$?; cat $(VENV)/paste_web.txt; \
		wait $$first; first=$$?; cat $(VENV)/speculation.txt; exit $$((rest + first + second > 0)); }

lint: $(VENV)/test.stamp
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports --no-cache >$(VENV)/contracts.txt 2>&1 || { cat $(VENV)/contracts.txt; exit 1; }
	$(RUN)/python manage.py makemigrations --check --dry-run

# Standard output belongs to the command that is run: installing talks on standard error.
$(RUN)/uv: deploy/installer.txt
	@[ -n "$(PYTHON)" ] || { echo "PASTE needs Python 3.11 or newer; none of $(CANDIDATES) is." >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)" >&2
	@$(PYTHON) -m venv $(VENV) >&2 || { echo "That needs the venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/installer.txt >&2
	@touch $@

$(VENV)/run.stamp: requirements.txt $(RUN)/uv
	@echo "Installing requirements" >&2
	@$(RUN)/uv pip install --python $(RUN)/python --require-hashes -r requirements.txt >&2
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/run.stamp
	@echo "Installing what the tests need" >&2
	@$(RUN)/uv pip install --python $(RUN)/python --require-hashes -r requirements-dev.txt >&2
	@touch $@

LOCK := pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url
PIN = { echo "\# Pinned with hashes from pyproject.toml by \`make lock\`. Do not edit."; cat $(VENV)/lock.txt; } >
lock: $(RUN)/uv
	cp requirements.txt $(VENV)/lock.txt && $(RUN)/uv $(LOCK) pyproject.toml -o $(VENV)/lock.txt && $(PIN) requirements.txt
	cp requirements-dev.txt $(VENV)/lock.txt && $(RUN)/uv $(LOCK) pyproject.toml --group dev -o $(VENV)/lock.txt && $(PIN) requirements-dev.txt
	cp deploy/installer.txt $(VENV)/lock.txt && echo uv | $(RUN)/uv $(LOCK) - -o $(VENV)/lock.txt && $(PIN) deploy/installer.txt

clean:
	@[ ! -e .paste/run/owner.lock ] || flock -n .paste/run/owner.lock true || { echo "PASTE runs here; stop it first." >&2; exit 1; }
	rm -rf $(VENV) .paste .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
