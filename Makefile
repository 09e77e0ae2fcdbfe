# Two commands matter: `make run` and `make test`. Both set up what they need.
PYTHONS = 3.14 3.13 3.12 3.11
# The first of the programs $(1) that runs, as a Python of the versions $(2)
first = $(firstword $(foreach p,$(1),$(shell $p -c 'import ensurepip, sys, venv; \
	assert "%d.%d" % sys.version_info[:2] in "$(2)".split()' >/dev/null 2>&1 && echo $p)))
PYTHON ?= $(call first,$(PYTHONS:%=python%),$(PYTHONS))
# Of d2l 1.0.3, and of NumPy 1.26, there is nothing for newer ones
PYTHON_D2L = $(call first,$(PYTHON) python3.11,3.11)
PYTHON_NUMPY1 = $(call first,$(PYTHON) python3.12 python3.11,3.12 3.11)
NO_PYTHON = $(if $(PYTHON),$(PYTHON) is not a working,There is no working) Python 3.11 to \
	3.14 with its module venv: install one, or name one, as in make setup PYTHON=/usr/bin/python3.12
NO_MXNET = MXNet could not be installed, which has wheels only for Linux and for Macs with \
	Intel chips: PyTorch and JAX run without it.
NO_NUMPY1 = MXNet on NumPy 1.26 is not tested: it needs a working Python 3.11 or 3.12.
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
# The settings in d2lbert/backends.py, which says what they are for
export OMP_WAIT_POLICY ?= PASSIVE
export GLIBC_TUNABLES ?= glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4294967296:glibc.malloc.arena_max=1
export CORPUS MODEL TEXT FOLDER
# Hundreds of processes would each compile the modules that they import
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run shards lab build site slides check test lint test-numpy1 bench clean

help:
	@echo "make run    pretrain BERT in all backends  [BACKEND=jax] [CORPUS=wikitext-2] [STEPS=50]"
	@echo "            or fine-tune it: CHAPTER=nli-bert [CORPUS=snli] [MODEL=bert.small]"
	@echo "            or the paper's: CHAPTER=bert-from-scratch [CORPUS=SST-2] [MODEL=bert-base-uncased]"
	@echo "            several processes share each batch: WORKERS=2"
	@echo "            one that was stopped or killed goes on; FRESH=1 starts anew"
	@echo "make shards TEXT=… FOLDER=…  write a text larger than memory for CORPUS=  [PROCESSES=2]"
	@echo "make test   run every test and every notebook"
	@echo "make lab    open the notebooks in JupyterLab"
	@echo "make build  write and run the notebooks    [CHAPTER=bert] [BACKEND=jax]"
	@echo "make site   the book as pages, site/index.html  [OPEN=1] [PDF=1]"
	@echo "make slides write a deck for each chapter and backend, into site/slides  [PDF=1]"
	@echo "make bench  compare the speed with others' (needs WikiText-2 and SNLI)"
	@echo "make setup  only install, into $(VENV)       [PYTHON=python3.12]"

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(if $(call first,$(PYTHON),$(PYTHONS)),,$(error $(NO_PYTHON)))
	$(PYTHON) -m venv --clear $(VENV)
	@# A new pip is faster, and a fraction of the modules is ever imported
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[all]'
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -c constraints.txt mxnet || echo "$(NO_MXNET)"
	touch $@

run: setup
	$(BIN)/python -m d2lbert.run $(if $(CHAPTER),--chapter $(CHAPTER)) $(if $(CORPUS),--corpus "$$CORPUS") $(if $(MODEL),--model "$$MODEL") $(if $(BACKEND),--backend $(BACKEND)) $(if $(STEPS),--steps $(STEPS)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(filter-out 0,$(FRESH)),--fresh)

shards: setup
	$(BIN)/python -m d2lbert.run.shards $(if $(PROCESSES),--processes $(PROCESSES)) $(if $(TEXT),"$$TEXT") $(if $(FOLDER),"$$FOLDER")

lab: setup
	$(BIN)/jupyter lab --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/start.ipynb

build: setup
	$(BIN)/python -m d2lbert.book build --jobs $(JOBS) $(if $(CHAPTER),--chapter $(CHAPTER)) $(if $(BACKEND),--backend $(BACKEND))

site: setup
	$(BIN)/python -m d2lbert.book site $(if $(filter-out 0,$(OPEN)),--open) $(if $(filter-out 0,$(PDF)),--pdf)

slides: setup
	$(BIN)/python -m d2lbert.book slides $(if $(filter-out 0,$(PDF)),--pdf)

test:
	@# The second environment is installed while the first one is
	$(MAKE) -j $(JOBS) lint $(if $(PYTHON_NUMPY1),test-numpy1)
	$(if $(PYTHON_NUMPY1),,@echo "$(NO_NUMPY1)")
	$(BIN)/python -m pytest -n $(JOBS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

check: setup
	$(BIN)/python -m d2lbert.book check

test-numpy1: .venv-numpy1/installed
	.venv-numpy1/bin/python -m pytest -o addopts= -q tests/test_mxnet_numpy.py

.venv-numpy1/installed: pyproject.toml
	$(or $(PYTHON_NUMPY1),$(error $(NO_NUMPY1))) -m venv --clear .venv-numpy1
	.venv-numpy1/bin/python -m pip install --quiet -e '.[mxnet]' numpy==1.26.4 pytest
	.venv-numpy1/bin/python -m pip install --quiet --no-deps mxnet==1.9.1
	touch $@

bench: setup .venv-d2l/installed
	$(BIN)/python bench/pretraining.py
	$(BIN)/python bench/finetuning.py
	$(BIN)/python bench/examples.py
	$(BIN)/python bench/imports.py

.venv-d2l/installed: bench/requirements-d2l.txt
	$(or $(PYTHON_D2L),$(error d2l 1.0.3 needs a working Python 3.11 beside $(VENV)'s)) -m venv --clear .venv-d2l
	.venv-d2l/bin/python -m pip install --quiet -r bench/requirements-d2l.txt
	.venv-d2l/bin/python -m pip install --quiet --no-deps d2l==1.0.3
	touch $@

clean:
	rm -rf $(VENV) .venv-numpy1 .venv-d2l results site
