# Everything installs into .venv; nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2

# Some machines forbid it; then every process of the tests would compile all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check test-long bench mutants package lock clean

.venv/runtime: requirements/runtime.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev: .venv/runtime requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

.venv/bench: .venv/dev requirements/bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	touch $@

demo: .venv/runtime
	$(BIN)/koppelhub demo

test: .venv/dev
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --durations=10

# 1,000 kills on each database, 10,000 examples; the figures go into docs/reliability.md by hand.
test-long: .venv/dev
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -m long --timeout 14400 -s

# The goals of docs/performance.md; BENCH="--large 10" adds a million pupils, which takes an hour.
bench: .venv/bench
	$(BIN)/python -m benchmarks --write docs/performance.md $(BENCH)

# Seeded faults of the engine, each of which the quick tests must catch.
mutants: .venv/dev
	$(BIN)/python tests/mutants/run.py

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The wheel alone, in an environment that holds nothing but its dependencies: help and demo.
package: .venv/dev build/package/runtime
	rm -rf dist
	$(BIN)/python -m build --quiet --no-isolation --wheel --outdir dist .
	build/package/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/*.whl
	cd build && package/bin/koppelhub --help > /dev/null && package/bin/koppelhub demo demo --no-eckid --json > /dev/null
	rm -rf build/package build/demo

build/package/runtime: requirements/runtime.lock
	rm -rf build/package build/demo
	$(PYTHON) -m venv build/package
	build/package/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/runtime.lock
	touch $@

# Renew the locks; needs `uv` on the path.
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q
lock:
	$(LOCK) --group build -o requirements/runtime.lock
	$(LOCK) --all-extras --group build --group dev -o requirements/dev.lock
	$(LOCK) --all-extras --group build --group dev --group bench -o requirements/bench.lock

clean:
	rm -rf .venv build dist demo
