# make demo   a small site with consent, on http://127.0.0.1:8000
# make example NAME=flask-shop   another framework's site; without NAME: which there are
# make test   everything: lint, types, tests, a real browser
# make test-oldest  the same framework tests with the oldest versions that we say work
# make test-frameworks  the documented apps of large frameworks, each in a real browser
# make conformance  what the law and the specifications ask, by id, and which tests show it
# make assets what the browser gets of static/banner, built anew
# make texts  what visitors read: catalogues for translators and what is served of them; LANGUAGE=sw begins another
# make docs   the documentation as a site, in build/docs; a broken link or a page that nothing leads to is an error
# make pictures  the pictures of docs/images, taken anew of the demo
# make bench  what the middleware adds to a request, beside others, and to a page; how fast choices become records; when a page is painted
# make soak   servers killed, a database gone, a disk full, again and again: what was acknowledged is there
PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8000
SERVER ?= asgi
BIN    := $(VENV)/bin
# Installs in a tenth of pip's time; where it cannot be had, pip does.
UV     := $(BIN)/python -m pip install --quiet --disable-pip-version-check uv && $(BIN)/uv pip install --quiet --compile-bytecode

.PHONY: demo example test test-oldest test-frameworks lint types unit unit-half unit-rest unit-outages servers-there browser browser-there browser-half browser-rest conformance assets texts reference docs docs-serve pictures bench soak wheel clean

$(VENV)/.demo: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the demo's needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.examples: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the examples' needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[examples]'
	@touch $@

$(VENV)/.test: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the tests' needs into $(VENV) ..."
	@$(UV) --python $(BIN)/python -e '.[test]' || $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@$(BIN)/python -m compileall -q src examples tests  # hundreds of processes start with them
	@touch $@

demo: $(VENV)/.demo
	@$(BIN)/python -m examples.shop --port $(PORT) --server $(SERVER)

# A name that there is not says which there are, before anything is installed.
EXAMPLES := $(subst _,-,$(patsubst examples/%/README.md,%,$(wildcard examples/*/README.md)))
ifneq ($(filter $(NAME),$(EXAMPLES)),)
example: $(VENV)/.examples
	@$(BIN)/python -m examples.start $(NAME) --port $(PORT)
else
example:
	@echo "make example NAME=...   one of: $(EXAMPLES)"; exit 2
endif

# Cheap checks first. A browser test never skips: without a browser `make test` fails and says what to install.
# Many tests wait, for a browser or a server, so three parts run side by side; each prints when it is done.
test:
	@$(MAKE) --no-print-directory -j3 --output-sync=target lint types browser-there servers-there
	@$(MAKE) --no-print-directory unit-outages
	@$(MAKE) --no-print-directory -j3 --output-sync=target browser-rest unit-rest browser-half unit-half

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

unit: unit-outages unit-half unit-rest

# About half of the tests without a browser by time: those of the records, and what builds or starts most.
UNITS := $(patsubst %,tests/test_%.py,background cli_records first_ten_minutes journal package retention servers_there store verification)
unit-half: servers-there
	$(BIN)/python -m pytest -q -m "not browser and not soak" $(UNITS)

unit-rest: servers-there
	$(BIN)/python -m pytest -q -m "not browser and not soak" $(addprefix --ignore=,$(UNITS) tests/soak)

# Dozens of clients while servers go and come back: nothing else runs meanwhile.
unit-outages: servers-there
	$(BIN)/python -m pytest -q -m "not soak" tests/soak

servers-there: $(VENV)/.test
	@$(BIN)/python tests/install_servers.py

browser: browser-there browser-half browser-rest

browser-there: $(VENV)/.test
	@$(BIN)/python tests/browser/install.py

# About half of the browser's tests by time.
HALF := $(patsubst %,tests/browser/test_browser_%.py,layers guard looks agents)
browser-half: browser-there
	$(BIN)/python -m pytest -q -m browser $(HALF)

browser-rest: browser-there
	$(BIN)/python -m pytest -q -m browser tests/browser $(addprefix --ignore=,$(HALF))

# Every test that shows an id of tests/conformance/ids.py, in a browser or not, and a table of the ids.
conformance: browser-there
	$(BIN)/python -m pytest -q --conformance

# The oldest version of everything that pyproject.toml says works, in an environment of its own. What these warn of
# was mended in newer ones. Without Litestar: it needs a package "multipart", the oldest Starlette another of that name.
test-oldest: $(VENV)/.test
	@$(PYTHON) -m venv --clear build/oldest
	@$(UV) --python build/oldest/bin/python --resolution lowest-direct -e '.[test]'
	@$(BIN)/uv pip uninstall --quiet --python build/oldest/bin/python litestar multipart
	@$(BIN)/uv pip list --quiet --python build/oldest/bin/python
	build/oldest/bin/python -m pytest -q -o filterwarnings=default -m "not browser and not slow and not soak" --ignore=tests/frameworks/test_litestar.py $(OLDEST)
OLDEST := $(addprefix tests/,frameworks adapters conformance test_cli.py test_cli_init.py test_config.py test_store.py)

# Frameworks that are too large for every run, or that hold others back: only their servers run there.
build/frameworks/.there: pyproject.toml $(VENV)/.test
	@test -x build/frameworks/bin/python || $(PYTHON) -m venv build/frameworks
	@echo "Installing the frameworks into build/frameworks (1 GB) ..."
	@$(UV) --python build/frameworks/bin/python -e '.[test-frameworks]'
	@touch $@

test-frameworks: browser-there build/frameworks/.there
	$(BIN)/python -m pytest -q tests/browser/test_browser_frameworks.py

bench: servers-there browser-there
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/rewriting.py
	$(BIN)/python benchmarks/records.py
	$(BIN)/python benchmarks/paint.py

soak: servers-there
	$(BIN)/python -m pytest -q -s -m soak

assets: $(VENV)/.test
	$(BIN)/python tools/build_assets.py

texts: $(VENV)/.test
	@$(BIN)/python -m tools.build_texts $(LANGUAGE)

# The pages of docs/reference that are made from the code.
reference: $(VENV)/.test
	@$(BIN)/python -m tools.build_reference

docs: reference
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Open build/docs/index.html; with search: make docs-serve"

docs-serve: reference
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

pictures: browser-there
	@$(BIN)/python -m tools.take_pictures

wheel: $(VENV)/.test
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
