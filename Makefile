# The two commands of this repository are `make demo` and `make test`; both build what they need.
#
# The environment lives in .venv. It is made once and again only when pyproject.toml changes.
#   make test PYTHON=python3.13 VENV=.venv-3.13    another interpreter (3.11 or newer), in a folder of its own
#   make env TORCH=torch                           another torch: any requirement or wheel that pip understands
# Torch comes first because it depends on your machine (CPU, CUDA, ROCm): install whichever build suits you,
# by TORCH=..., or with .venv/bin/python -m pip before or after. The version below is the one the tests ran with.
# To rebuild from nothing: rm -rf .venv && make env

PYTHON ?= python3
TORCH  ?= torch==2.13.0
ARGS   ?=
NAME   ?=

VENV  ?= .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.installed

VERSION := import sys; print("%d.%d" % sys.version_info[:2])

export MPLBACKEND ?= Agg

.DEFAULT_GOAL := help
.PHONY: help env demo test slow matrix lint bench docs wheel tutorials clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

# Asked for an interpreter, nobody should test on another one that happens to be there.
env: $(STAMP) ## create .venv with the package and what its tests and demo need
ifneq ($(origin PYTHON),file)
	@have=$$($(PY) -c '$(VERSION)'); asked=$$($(PYTHON) -c '$(VERSION)'); test "$$have" = "$$asked" \
	|| { echo "$(VENV) has Python $$have, $(PYTHON) is $$asked: name another folder by VENV=..., or rm -rf $(VENV)"; exit 1; }
endif

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"r2mae_bio needs Python 3.11 or newer, found {sys.version.split()[0]}: make env PYTHON=python3.12")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet "$(TORCH)"
	$(PY) -m pip install --quiet --editable ".[test]"
	@touch $@

demo: env ## train on a small data set and write demo/
	$(PY) -m tutorials.demo $(ARGS)

# Here and not in pyproject.toml: a single test by path should not wait for workers to import torch.
# At most four processes, since each grows to 1.6 GB. Neighbouring tests share fixtures, so each
# worker begins with a stretch of its own and takes from the end of the other one when it is done.
test: env ## run the tests; ARGS="-k mask" passes options to pytest, ARGS="-n 0" keeps to one process
	$(PY) -m pytest -n logical --maxprocesses 4 --dist worksteal -m "not gpu and not slow" $(ARGS)

slow: env ## run the slowest tests: programs that are killed, ranks, long pages
	$(PY) -m pytest -n logical --maxprocesses 4 --dist worksteal -m slow $(ARGS)

matrix: ## run the tests on each Python found, with the newest and the oldest packages; ARGS="--help"
	$(PYTHON) .ci/matrix.py $(ARGS)

lint: env ## check style, types and import direction
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

bench: env ## list the benchmarks; NAME=gene_throughput runs one
ifeq ($(NAME),)
	@echo 'make bench NAME=... with one of:'
	@grep -rl '__main__' benchmarks --include='*.py' | sed -E 's|benchmarks/(.*)\.py|  \1|; s|/|.|g' | sort
else
	$(PY) -m benchmarks.$(NAME) $(ARGS)
endif

# The site has an environment of its own on top of .venv: it needs the package, and the tests do not
# need Sphinx. A warning is an error. Objects of other libraries are linked by their own inventories
# if there is a network.
SITE := $(VENV)/docs

docs: env ## build the site into build/docs; open build/docs/index.html
	test -x $(SITE)/bin/sphinx-build || $(PY) -m venv $(SITE)
	$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$(echo $(SITE)/lib/python*/site-packages)/beneath.pth"
	test -x $(SITE)/bin/sphinx-build || $(SITE)/bin/python -m pip install --quiet $$($(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])')
	rm -rf docs/api/generated build/docs
	$(SITE)/bin/python -m sphinx --builder html --conf-dir docs --jobs auto --fail-on-warning --keep-going $(ARGS) . build/docs

wheel: env ## build wheel and sdist, and try them outside of the repository
	$(PY) .ci/wheel.py $(ARGS)

clean: ## remove build products and caches; .venv and demo/ stay
	rm -rf build dist docs/api/generated .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -rf {} +

tutorials: env ## execute the tutorials into notebooks
	$(PY) -m tutorials.execute $(ARGS)
