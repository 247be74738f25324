# Everything sets itself up; a second call installs nothing again.
VENV := .venv
BIN := $(VENV)/bin
PYTHON3 ?= python3
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all product check benchmark benchmark-cpu benchmark-gpu recipes recipes-record tables docs clean

# Train the article's VAE on all of MNIST, judge it and show it.
demo: $(VENV)/.demo
	$(BIN)/kelbo train --data mnist --model article --epochs 3

# Prove the library: style, types and layers, then the tests on each backend. JOBS processes share
# the test files of a backend; each takes up to 6 GB of memory.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
# Every process would compile kelbo and the tests anew.
unexport PYTHONDONTWRITEBYTECODE

test: check
	KERAS_BACKEND=tensorflow $(PYTEST) -m "not once"
	KERAS_BACKEND=jax $(PYTEST) -m "not once"
	KERAS_BACKEND=torch $(PYTEST) -m "not once"
	KERAS_BACKEND=tensorflow $(PYTEST) -m once $(WHOLE)

# The same, with every case of the tests of which `test` runs a sample.
test-all:
	$(MAKE) test WHOLE=--whole

# Every likelihood with every posterior, prior and objective, on each backend: hours.
product: $(VENV)/.dev
	KERAS_BACKEND=torch $(PYTEST) --whole tests/test_product.py
	KERAS_BACKEND=jax $(PYTEST) --whole tests/test_product.py
	KERAS_BACKEND=tensorflow $(PYTEST) --whole tests/test_product.py

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Race kelbo against its peers, on DEVICE=cpu or gpu. Then the bound against a plain loop, images in
# memory, in files and in the cache against one another, bfloat16 against float32, and the doctor over
# the sources of Keras; on a GPU also what was chosen for epochs that stay there. `docs` makes the pages from what is stored.
DEVICE ?= cpu
benchmark: benchmark-$(DEVICE)

ON_CPU := CUDA_VISIBLE_DEVICES= JAX_PLATFORMS=cpu
benchmark-cpu: $(VENV)/.peers
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.clinic
	$(ON_CPU) KERAS_BACKEND=torch $(BIN)/python -m benchmarks.parity
	$(ON_CPU) KERAS_BACKEND=tensorflow $(BIN)/python -m benchmarks.evaluation
	$(ON_CPU) KERAS_BACKEND=jax $(BIN)/python -m benchmarks.evaluation
	$(ON_CPU) KERAS_BACKEND=tensorflow $(BIN)/python -m benchmarks.streaming
	$(ON_CPU) KERAS_BACKEND=jax $(BIN)/python -m benchmarks.streaming
	$(ON_CPU) KERAS_BACKEND=torch $(BIN)/python -m benchmarks.streaming
	$(ON_CPU) KERAS_BACKEND=tensorflow $(BIN)/python -m benchmarks.precision
	$(ON_CPU) KERAS_BACKEND=jax $(BIN)/python -m benchmarks.precision
	$(ON_CPU) KERAS_BACKEND=torch $(BIN)/python -m benchmarks.precision

MNIST := --images 10000 --samples 5000 --rounds 1
benchmark-gpu: $(VENV)/.peers-gpu
	$(BIN)/python -m benchmarks.speed --device gpu
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.resident --profile
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.evaluation $(MNIST)
	KERAS_BACKEND=torch $(BIN)/python -m benchmarks.evaluation $(MNIST)
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.streaming --samples 60000
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.precision

# Run every recipe in every environment of the lab; fail where a verdict is not the committed one.
recipes: $(VENV)/.dev
	$(BIN)/kelbo recipes run --jobs 2 --check

# The same, and bisect each change; what is measured becomes the committed results.
RECIPES := src/kelbo/clinic/recipes/results
recipes-record: $(VENV)/.dev
	$(BIN)/kelbo recipes run --jobs 2 --save $(RECIPES)/matrix.json
	$(BIN)/kelbo recipes bisect --jobs 2 --save $(RECIPES)/history.json

# Measure which names of TensorFlow 1 the installed TensorFlow lacks; the doctor reads the table.
tables: $(VENV)/.dev
	$(BIN)/python -m tests.clinic.doctor.tensorflow_1 src/kelbo/clinic/explain/tensorflow_1.json

docs: $(VENV)/.dev
	$(BIN)/python -m benchmarks.speed --page
	$(BIN)/python -m benchmarks.evaluation --page
	$(BIN)/python -m benchmarks.streaming --page
	$(BIN)/python -m benchmarks.precision --page
	$(BIN)/python -m benchmarks.clinic --page
	$(BIN)/python -m benchmarks.science --page
	$(BIN)/python -m benchmarks.parity --page
	$(BIN)/python -m benchmarks.models --page
	$(BIN)/kelbo recipes table --out docs/recipes.md
	$(BIN)/kelbo recipes table --format html --out docs/recipes.html
	$(BIN)/python -m kelbo.clinic.doctor.page docs/doctor.md
	$(BIN)/python -m tests.clinic.port.forms docs/port.md

$(BIN)/python:
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "kelbo needs Python 3.11 or newer; name one with make PYTHON3=python3.12"; exit 1; }
	$(PYTHON3) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The extras of `demo` are among those of `test`, so whichever comes second only adds.
$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[tensorflow]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[all,dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.peers: $(VENV)/.dev
	$(PIP) --editable '.[peers]'
	@touch $@

$(VENV)/.peers-gpu: $(VENV)/.peers
	$(PIP) --editable '.[cuda,peers]'
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
