# make demo   the three pipelines on real video, with the light installation (no torch): under 3 minutes after the download
# make test   the tests, with all that they need (torch and torchvision: 5 GB)
# make test-all   these and the long ones, which it names: exports, compilations and large networks; before an issue is resolved
# make env    the environment of `make test`, for development, training and benchmarks
# make lint   ruff and mypy, the latter also as on Windows
# make shape  the rooms of the code, and whether an import runs the wrong way (docs/architecture.md)
# make bench  the figures of README.md
# make fuzz   seeded campaigns against damaged input of every kind, some 45 minutes (FUZZ="media --seed 7 --count 2000" for a part)
# make soak   four cameras with random faults for 30 minutes: no crash, no leak (SOAK="--minutes 5 --seed 7", or --leak: it must be found)
# make mutate whether the tests notice when the code is changed, some 30 minutes (MUTATE="masks color" for modules)
# make lite-graphs  all graphs of `lite` anew from engines/lite/lite.safetensors, measured on DATA=FOLDER; before new weights are shipped
# make gpu    on a machine with an NVIDIA GPU: its tests, then every figure about it, in ten minutes (GPU="--quick --json FILE")
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN = $(VENV)/bin

.PHONY: demo test test-all env lint shape bench fuzz soak mutate lite-graphs gpu clean
.DEFAULT_GOAL := demo

demo: $(DEMO_VENV)/.installed
	$(DEMO_VENV)/bin/python samples/demo.py demo

test: env
	$(BIN)/python -m tests $(PYTEST)

test-all: env
	$(BIN)/python -m tests --all $(PYTEST)

env: $(VENV)/.installed

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32

shape:
	$(PYTHON) -m tools.shape

bench: env
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/drawing.py

# What is found is kept in build/fuzz, with what shows it again.
fuzz: env
	$(BIN)/python -m tests.fuzz $(FUZZ)

soak: env
	$(BIN)/python -m tests.soak $(SOAK)

mutate: env
	$(BIN)/python -m tests.mutate $(MUTATE)

# DATA is a folder of annotated photos, as `streamseg eval` takes it; int8 is calibrated on the sample clips.
lite-graphs: env
	$(BIN)/python samples/fetch.py
	$(BIN)/python -m tools.lite_graphs $(if $(DATA),--data $(DATA))

# `make gpu BIN=/usr/bin` takes the Python that is there, torch and all: nothing is installed then.
gpu: $(if $(filter $(VENV)/bin,$(BIN)),env)
	$(BIN)/python3 benchmarks/gpu.py $(GPU)

# An editable installation: the code is this checkout's, only a change of the dependencies installs anew.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	# These ask for opencv-python, which needs libGL and overwrites the headless one; what else they need is in `dev`.
	$(BIN)/python -m pip install --quiet --no-deps 'trackeval>=1.3' 'trackers>=2.6'
	touch $@

$(DEMO_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python -m pip install --quiet --editable .
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache
