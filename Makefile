# Every chore has a target; `.ci/run` says which CI calls. Everything happens in .venv, made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo
MINUTES ?= 90

.PHONY: demo test long mutants check study speech recipes bench kernels results docs clean

demo: $(VENV)/ready
	$(BIN)/fewbit demo --out $(OUT)

test: $(VENV)/ready check
	$(BIN)/pytest -n 2 --dist worksteal

# The kernels under sanitizers, and compiled for Arm under an emulator (g++-aarch64-linux-gnu, qemu-user); the memory of
# half a million generated tokens.
long: $(VENV)/ready
	FEWBIT_LONG=1 $(BIN)/pytest -rs tests/native/test_equality.py tests/benchmarks/test_endless_text.py

# Fifty small faults in copies of the source: which do the tests not notice? Half an hour, or MINUTES at most.
mutants: $(VENV)/ready
	$(BIN)/python -m scripts.mutants --minutes $(MINUTES)

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

results: $(VENV)/ready
	$(BIN)/python -m studies all --out docs/results --cache build/studies
	$(BIN)/python -m benchmarks.training_overhead --out build/benchmarks --results docs/results
	$(BIN)/python -m scripts.write_measured

# One study, by the number of the paper or its name: make study NN=06
study: $(VENV)/ready
	$(BIN)/python -m studies $(NN) --out docs/results --cache build/studies
	$(BIN)/python -m scripts.write_measured

# The networks in the package, trained again from AN4 and Speech Commands under FEWBIT_DATA; hours.
recipes: $(VENV)/ready
	$(BIN)/python -m recipes english --data "$$FEWBIT_DATA/an4" --out build/an4
	$(BIN)/python -m recipes commands --data "$$FEWBIT_DATA/speech_commands" --out build/commands

# The recognisers in the package and the search, with AN4 and texts under FEWBIT_DATA; half an hour on a quiet machine.
# With SEEDS="folder folder ...", made by `python -m recipes english --control --seed N --out folder`, the means over all
# of them are measured; without, the study of them is written anew from its file.
speech: $(VENV)/ready
	$(BIN)/python -m studies.speech.english $(SEEDS) --out build/benchmarks --results docs/results
	$(BIN)/python -m studies.speech.english_shipped --results docs/results
	$(BIN)/python -m studies.speech.english_delays --out build/benchmarks --results docs/results
	$(BIN)/python -m studies.speech.english_hour --out build/benchmarks --results docs/results
	$(BIN)/python -m studies.speech.keyword_spotting --model src/fewbit/shipped/an4.fewbit --out build/benchmarks --results docs/results
	$(BIN)/python -m studies.speech.command_delays --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.beam_search --install --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.serve --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.online_ctc --out build/benchmarks
	$(BIN)/python -m studies.speech.online_ctc --out build/benchmarks --results docs/results
	$(BIN)/python -m scripts.write_measured

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.stream_speed --out build/benchmarks
	$(BIN)/python -m benchmarks.endless_text --out build/benchmarks
	$(BIN)/python -m benchmarks.torch_free --out build/benchmarks
	$(BIN)/python -m benchmarks.training_overhead --out build/benchmarks

# Against the peers, which live in an environment of their own; an hour and a half on a quiet machine.
kernels: $(VENV)/ready build/peers-venv/bin/python
	$(BIN)/python -m benchmarks.ceilings --out build/benchmarks
	$(BIN)/python -m benchmarks.kernels --out build/benchmarks
	$(BIN)/python -m benchmarks.training_kernels --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.graph_rnn --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.product_floors --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.sparse_ternary --results docs/results
	$(BIN)/python -m benchmarks.kernel_sparse --results docs/results
	$(BIN)/python -m benchmarks.strided --results docs/results
	$(BIN)/python -m benchmarks.pruned_networks --results docs/results
	$(BIN)/python -m benchmarks.multi_step --out build/benchmarks --results docs/results
	$(BIN)/python -m benchmarks.kernel_results build/benchmarks/kernels.json --results docs/results
	$(BIN)/python -m scripts.write_measured

build/peers-venv/bin/python: benchmarks/peers/requirements.txt
	$(BIN)/python -m benchmarks.kernels --install --with-ggml
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
