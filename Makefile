# Each target makes the .venv that it needs, so that on a fresh machine any of them works alone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check setup help clean
.DEFAULT_GOAL := help

demo: .venv/run.stamp  ## run the main job on a clip that plateloop renders itself
	$(BIN)/python -m plateloop demo --out demo

test: setup  ## everything that must hold
	@# Three workers: the tests wait half of the time. With a heap for each thread they would grow to twice the size.
	MALLOC_ARENA_MAX=2 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: setup  ## style, types and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

setup: .venv/dev.stamp  ## the environment of a developer: training and tests

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

clean:  ## remove what make and the commands made
	rm -rf .venv demo runs build dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'plateloop needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'Installing what plateloop needs to run (about 120 MB) ...'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'Installing what training and the tests need ...'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@ .venv/run.stamp
