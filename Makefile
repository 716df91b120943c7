# A fresh clone needs Python 3.11 or newer, a C compiler and make; everything else is set up
# here, in a virtual environment of its own. `make` alone lists the targets.
#
#   PYTHON=python3.12   the interpreter to use
#   VENV=.venv          where the virtual environment lives
#   JOBS=2              test processes
#   ARGS="-k words"     further arguments for pytest, the demo or the benchmarks
#   THEUS_BUILD=debug   build mode: release, debug, coverage, annotate

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
ARGS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
DEMO := examples/flights/run.py
BENCH := benchmarks/run.py
VERSIONS := 3.11 3.12 3.13 3.14

# An environment of another Python than the one asked for is made anew.
PRESENT := $(shell sed -n 's/^version *= *//p' $(VENV)/pyvenv.cfg 2>/dev/null)
ifneq ($(origin PYTHON),file)
WANTED := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
endif
STUBBED := $(patsubst theus/_core/%.pyi,theus._core.%,$(sort $(wildcard theus/_core/*.pyi)))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-all pytest lint types layers format build matrices torch bench cover dist docs \
	clean distclean always

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.ready-demo build ## run the main job: the on-time analysis of a year of flights
	$(PY) $(DEMO) $(ARGS)

test: $(VENV)/.ready-dev build lint types layers pytest ## build, check style, types and layers, run all tests

test-all: ## the same with every supported Python that is here
	@for v in $(VERSIONS); do \
	  if python$$v -c '' 2>/dev/null; then \
	    $(MAKE) --no-print-directory test PYTHON=python$$v VENV=.venv-$$v || exit 1; \
	  else echo "python$$v is not here: left out"; fi; \
	done

# --- set-up ----------------------------------------------------------------------------------

$(VENV)/pyvenv.cfg: $(if $(WANTED),$(if $(filter-out $(WANTED),$(PRESENT)),always))
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --upgrade "pip>=25.1"

$(VENV)/.ready-build: $(VENV)/pyvenv.cfg pyproject.toml
	$(PIP) --group build
	@touch $@

# The install only links to this tree, whose core `make build` compiles in place.
LINK := THEUS_BUILD=none PYTHONWARNINGS=ignore $(PIP) --no-build-isolation --editable

$(VENV)/.ready-demo: $(VENV)/.ready-build pyproject.toml setup.py
	$(LINK) ".[demo]"
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-demo
	$(PIP) --group dev
	$(LINK) ".[demo,pydantic,attrs]"
	@touch $@

build: $(VENV)/.ready-build ## compile what changed, in place
	@$(PY) setup.py --quiet build_ext --inplace

# --- checks ----------------------------------------------------------------------------------

lint: $(VENV)/.ready-dev ## ruff (rules and format) and cython-lint
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet --diff .
	PATH="$(CURDIR)/$(BIN):$(BIN):$$PATH" $(BIN)/cython-lint theus/_core

types: $(VENV)/.ready-dev build ## mypy (strict), pyright on programs, stubs against binaries
	$(BIN)/mypy --no-error-summary
	$(BIN)/pyright --pythonpath $(PY)
	$(PY) -m mypy.stubtest --concise --mypy-config-file tests/typing/stubtest.ini \
	  $(STUBBED)

layers: $(VENV)/.ready-dev ## imports go down only
	$(BIN)/lint-imports --no-logo

pytest: $(VENV)/.ready-dev build ## the tests alone
	$(PY) -m pytest -q -n $(JOBS) --dist loadfile -p no:benchmark $(ARGS)

format: $(VENV)/.ready-dev ## put imports and layout in order
	$(BIN)/ruff check --fix-only --quiet --select I .
	$(BIN)/ruff format .

# --- further work ----------------------------------------------------------------------------

matrices: $(VENV)/.ready-dev build ## try every case of the matrices of the tests and count
	$(PY) tools/matrices.py

torch: $(VENV)/.ready-dev build ## install torch, which is large, and run the tests of tensors
	$(LINK) ".[torch]"
	$(PY) -m pytest -q -p no:benchmark tests/unit/freezers tests/behaviour/test_tensors_in_processes.py $(ARGS)

bench: $(VENV)/.ready-dev build ## measure the goals: floor, target, measured
	$(PY) $(BENCH) $(ARGS)

cover: $(VENV)/.ready-dev ## line coverage, compiled core included, in a copy of the tree
	rm -rf build/cover && mkdir -p build/cover
	git ls-files -coz --exclude-standard | tar --null -T - -cf - | tar -xf - -C build/cover
	cd build/cover && \
	  THEUS_BUILD=coverage $(abspath $(PY)) setup.py --quiet build_ext --inplace && \
	  $(abspath $(PY)) -m coverage run -m pytest -q -p no:benchmark $(ARGS) && \
	  $(abspath $(PY)) -m coverage combine --quiet && \
	  $(abspath $(PY)) -m coverage report

dist: $(VENV)/.ready-dev ## sdist, a wheel from it, and a try of both in a clean environment
	rm -rf dist build/try
	$(PY) setup.py --quiet sdist
	@tar -tzf dist/theus-*.tar.gz | sed 's,^[^/]*/,,' | sort > build/sdist.txt
	@if git ls-files | grep -v '^\.gitignore$$' | sort | comm -23 - build/sdist.txt | grep .; then \
	  echo "these files are not in the sdist: see MANIFEST.in"; exit 1; fi
	@if grep -E '\.(c|so|pyd|html|pyc)$$' build/sdist.txt; then \
	  echo "these built files are in the sdist: see MANIFEST.in"; exit 1; fi
	$(PY) -m pip --quiet wheel --no-deps --wheel-dir dist dist/theus-*.tar.gz
	$(PYTHON) -m venv build/try
	build/try/bin/python -m pip install --quiet dist/theus-*.whl
	cd build/try && bin/python -W error -c "import theus, theus._core; print(theus.__version__, theus._core.State)"

docs: $(VENV)/.ready-dev ## write the generated pages of docs/reference again
	$(PY) tools/reference.py

clean: ## remove what was built; the virtual environments stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -rf .import_linter_cache .coverage .coverage.*
	find theus -name '*.so' -o -name '*.pyd' -o -path 'theus/_core/*.c' \
	  -o -path 'theus/_core/*.html' | xargs rm -f
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environments too
	rm -rf .venv*
