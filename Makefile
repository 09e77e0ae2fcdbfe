# Two commands matter: `make run` and `make test`. Both set up what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
# Threads that wait sleep, so that a machine with other work does not crawl
export OMP_WAIT_POLICY ?= PASSIVE
export CORPUS MODEL

.PHONY: help setup run lab build check test bench clean

help:
	@echo "make run    pretrain BERT in all backends  [BACKEND=jax] [CORPUS=wikitext-2] [STEPS=50]"
	@echo "            or fine-tune it: CHAPTER=nli-bert [CORPUS=snli] [MODEL=bert.small]"
	@echo "            or the paper's: CHAPTER=bert-from-scratch [CORPUS=SST-2] [MODEL=bert-base-uncased]"
	@echo "make test   run every test and every notebook"
	@echo "make lab    open the notebooks in JupyterLab"
	@echo "make build  write and run the notebooks    [CHAPTER=bert] [BACKEND=jax]"
	@echo "make bench  compare the speed with d2l's (needs WikiText-2 and SNLI)"
	@echo "make setup  only install, into $(VENV)"

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	touch $@

run: setup
	$(BIN)/python -m d2lbert.run $(if $(CHAPTER),--chapter $(CHAPTER)) $(if $(CORPUS),--corpus "$$CORPUS") $(if $(MODEL),--model "$$MODEL") $(if $(BACKEND),--backend $(BACKEND)) $(if $(STEPS),--steps $(STEPS))

lab: setup
	$(BIN)/jupyter lab notebooks

build: setup
	$(BIN)/python -m d2lbert.book build --jobs $(JOBS) $(if $(CHAPTER),--chapter $(CHAPTER)) $(if $(BACKEND),--backend $(BACKEND))

test: setup .venv-numpy2/installed
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	.venv-numpy2/bin/python -m pytest -o addopts= -q tests/test_mxnet_numpy.py
	$(BIN)/python -m pytest -n $(JOBS)

check: setup
	$(BIN)/python -m d2lbert.book check

.venv-numpy2/installed: pyproject.toml
	$(PYTHON) -m venv .venv-numpy2
	.venv-numpy2/bin/python -m pip install --quiet 'numpy>=2,<3' requests graphviz pytest safetensors matplotlib pooch tqdm
	.venv-numpy2/bin/python -m pip install --quiet --no-deps mxnet==1.9.1 -e .
	touch $@

bench: setup .venv-d2l/installed
	$(BIN)/python bench/pretraining.py
	$(BIN)/python bench/finetuning.py

.venv-d2l/installed: bench/requirements-d2l.txt
	$(PYTHON) -m venv .venv-d2l
	.venv-d2l/bin/python -m pip install --quiet -r bench/requirements-d2l.txt
	.venv-d2l/bin/python -m pip install --quiet --no-deps d2l==1.0.3
	touch $@

clean:
	rm -rf $(VENV) .venv-numpy2 .venv-d2l results
