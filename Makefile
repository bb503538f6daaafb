# make demo     set everything up, run the main job; make demo-postgres: over a PostgreSQL that it starts
# make test     set everything up, run all tests
# make soak     10,000 scans in worker processes, 20,000 random queries with predicates pushed (long)
# make bench    the performance figures of docs/benchmarks.md (long)
# make lint     what the tests check of the sources, alone
# make format   rewrite the sources in the house's format

VENV := .venv
BIN := $(VENV)/bin
C_SOURCES := $(shell find include src engines python/bascule/_native -name '*.[ch]' -o -name '*.map')
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: build demo demo-postgres test soak bench lint format clean

build: $(VENV)/.built

$(VENV)/.tools: requirements-dev.txt tools/make_venv.sh
	tools/make_venv.sh $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# Editable: a change in Python needs no build.
$(VENV)/.built: $(VENV)/.tools CMakeLists.txt pyproject.toml tools/fetch_sdist.py tools/duckdb_api_names.py tools/duckdb_footer.py $(C_SOURCES)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[duckdb]'
	touch $@

demo: build
	$(BIN)/python examples/demo.py

demo-postgres: build
	$(BIN)/python examples/demo.py --postgres

test: build
	tools/system_packages.sh
	$(BIN)/python tools/run_tests.py $(PYTEST_ARGS)

soak: build
	BASCULE_SOAK=1 $(BIN)/python -m pytest tests/life/test_repeats.py tests/differential $(PYTEST_ARGS)

bench: build
	$(BIN)/python -m bench

lint: build
	$(BIN)/python -m pytest tests/house

format: build
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/clang-format -i $$(find include src engines python tests -name '*.[ch]')

clean:
	rm -rf $(VENV) build
