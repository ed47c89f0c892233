# One door for every chore; CI calls `make test`. Everything happens in .venv, made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: demo test long check speech bench kernels results docs clean

demo: $(VENV)/ready
	$(BIN)/fewbit demo --out $(OUT)

test: $(VENV)/ready check
	$(BIN)/pytest -n 2 --dist worksteal

# The kernels under sanitizers, and compiled for Arm under an emulator (g++-aarch64-linux-gnu, qemu-user).
long: $(VENV)/ready
	FEWBIT_LONG=1 $(BIN)/pytest tests/native/test_equality.py

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

results: $(VENV)/ready
	$(BIN)/fewbit reproduce all --out docs/results --cache build/studies
	$(BIN)/python benchmarks/training_overhead.py --out build/benchmarks --results docs/results
	$(BIN)/python scripts/write_measured.py

# The recognisers in the package and the search, with AN4 and texts under FEWBIT_DATA; half an hour on a quiet machine.
# With SEEDS="folder folder ...", made by `fewbit english --seed N --out folder`, error rates are over all of them.
speech: $(VENV)/ready
	$(BIN)/python benchmarks/english.py $(SEEDS) --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/english_delays.py --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/english_hour.py --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/keyword_spotting.py --model src/fewbit/shipped/an4.fewbit --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/beam_search.py --install --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/serve.py --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/online_ctc.py --out build/benchmarks
	$(BIN)/python benchmarks/online_ctc_an4.py --out build/benchmarks --results docs/results
	$(BIN)/python scripts/write_measured.py

bench: $(VENV)/ready
	$(BIN)/python benchmarks/stream_speed.py --out build/benchmarks
	$(BIN)/python benchmarks/torch_free.py --out build/benchmarks
	$(BIN)/python benchmarks/training_overhead.py --out build/benchmarks

# Against the peers, which live in an environment of their own; an hour and a half on a quiet machine.
kernels: $(VENV)/ready build/peers-venv/bin/python
	$(BIN)/python benchmarks/ceilings.py --out build/benchmarks
	$(BIN)/python benchmarks/kernels.py --out build/benchmarks
	$(BIN)/python benchmarks/training_kernels.py --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/graph_rnn.py --out build/benchmarks --results docs/results
	$(BIN)/python benchmarks/kernel_results.py build/benchmarks/kernels.json --results docs/results
	$(BIN)/python scripts/write_measured.py

build/peers-venv/bin/python: benchmarks/peers/requirements.txt
	$(BIN)/python benchmarks/kernels.py --install --with-ggml
	touch $@

docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site demo

# torch is named with its version and alone, so that a CPU build at hand is taken and no newer one is fetched.
$(VENV)/ready: pyproject.toml constraints.txt CMakeLists.txt $(wildcard csrc/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0 -c constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	touch $@
