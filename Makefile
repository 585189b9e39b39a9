# make demo   a small site with consent, on http://127.0.0.1:8000
# make test   everything: lint, types, tests, a real browser
# make test-oldest  the oldest Django that we say works
# make test-frameworks  the documented apps of large frameworks, each in a real browser
# make conformance  what the law and the specifications ask, by id, and which tests show it
# make assets what the browser gets of static/banner, built anew
# make texts  what visitors read: catalogues for translators and what is served of them; LANGUAGE=sw begins another
# make pictures  the pictures of docs/images, taken anew of the demo
# make bench  what the middleware adds to a request, beside others, and to a page; how fast choices become records; when a page is painted
# make soak   servers killed, a database gone, a disk full, again and again: what was acknowledged is there
PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8000
SERVER ?= asgi
BIN    := $(VENV)/bin

.PHONY: demo test test-oldest test-frameworks lint types unit servers-there browser browser-there browser-half browser-rest conformance assets texts pictures bench soak wheel clean

$(VENV)/.demo: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the demo's needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "Installing the tests' needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

demo: $(VENV)/.demo
	@$(BIN)/python -m examples.shop --port $(PORT) --server $(SERVER)

# Cheap checks first. A browser test never skips: without a browser `make test` fails and says what to install.
# The browser's tests mostly wait, so the others run beside them, and one half of them beside the other; each
# prints when it is done.
test: lint types browser-there
	@$(MAKE) --no-print-directory -j3 --output-sync=target unit browser-half browser-rest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

unit: servers-there
	$(BIN)/python -m pytest -q -m "not browser and not soak"

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
	$(BIN)/python -m pytest -q -m browser $(addprefix --ignore=,$(HALF))

# Every test that shows an id of tests/conformance/ids.py, in a browser or not, and a table of the ids.
conformance: browser-there
	$(BIN)/python -m pytest -q --conformance

# The oldest version of a framework that we say works, in a folder of its own.
test-oldest: $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/oldest 'django==4.2.*'
	PYTHONPATH=build/oldest $(BIN)/python -m pytest -q tests/frameworks/test_django.py

# Frameworks that are too large for every run, or that hold others back: only their servers run there.
build/frameworks/.there: pyproject.toml
	@test -x build/frameworks/bin/python || $(PYTHON) -m venv build/frameworks
	@echo "Installing the frameworks into build/frameworks (1 GB) ..."
	@build/frameworks/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test-frameworks]'
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

pictures: browser-there
	@$(BIN)/python -m tools.take_pictures

wheel: $(VENV)/.test
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
