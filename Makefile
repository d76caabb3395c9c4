# make demo: from nothing to a trained model and COCO AP on generated data. make test: the tests.
PYTHON ?= python3
# Windows puts an environment's programs elsewhere.
BIN = $(if $(wildcard .venv/Scripts),.venv/Scripts,.venv/bin)

.PHONY: demo test lint docs

# torch and torchvision come in one pip call: asked for apart, they may not fit each other.
.venv/installed: setup.py
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade --quiet pip
	$(BIN)/python -m pip install --editable '.[test,docs,logging]'
	$(BIN)/python -m pip install --no-deps rtmlib  # which one test reads; it wants another build of OpenCV
	touch $@

demo: .venv/installed
	$(BIN)/python tools/make_toy_data.py --out data/toy
	$(BIN)/python tools/train.py configs/pose/hrnet_toy.py --work-dir work_dirs/hrnet_toy

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal  # two processes, one core each

lint: .venv/installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python .ci/check_docstrings.py
	$(BIN)/python -m mypy

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
