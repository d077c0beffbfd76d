# Each target makes the .venv that it needs, so that on a fresh machine any of them works alone.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check setup clean

demo: .venv/run.stamp  ## run the main job on a clip made by plateloop itself
	$(BIN)/python -m plateloop demo --out demo

test: setup  ## everything that must hold
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: setup  ## style, types and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

setup: .venv/dev.stamp  ## the environment of a developer: training and tests

.venv/run.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[train,dev]'
	touch $@ .venv/run.stamp

clean:
	rm -rf .venv demo runs build dist
