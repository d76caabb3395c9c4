# make demo: from nothing to a trained model and COCO AP on generated data. make test: the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint

# torch and torchvision come in one pip call: asked for apart, they may not fit each other.
.venv/installed: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade --quiet pip
	$(BIN)/pip install --editable '.[test,logging]'
	touch $@

demo: .venv/installed
	$(BIN)/python tools/make_toy_data.py --out data/toy
	$(BIN)/python tools/train.py configs/pose/hrnet_toy.py --work-dir work_dirs/hrnet_toy

test: .venv/installed
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
