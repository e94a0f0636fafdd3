# Two commands are all a newcomer needs: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

.PHONY: demo test lint types unit corpus-check learning-curve sanitize bench bench-ecosystem robustness reading model card cases tables clean

demo: $(INSTALLED)
	$(BIN)/python examples/demo.py

test: lint types corpus-check unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The package, and the examples, as whoever imports it is checked.
types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy examples

unit: $(READY)
	$(BIN)/python -m pytest

# The corpus against its promises; prints the datasheet's table.
corpus-check: $(READY)
	$(BIN)/python tools/check_corpus.py

# The shipped model, anew from the corpus.
model: $(READY)
	$(BIN)/fraudscan train corpus -o models/default
	$(MAKE) card

# The model's card, with the evaluation sets where they lie in ../shared.
card: $(READY)
	$(BIN)/fraudscan evaluate --card $(wildcard ../shared/eval/dev)

# Which of the messages in tests/cases the model gets wrong.
cases: $(READY)
	$(BIN)/python tools/sort_cases.py

# What more of the corpus would bring; needs the evaluation sets in ../shared.
learning-curve: $(READY)
	$(BIN)/python tools/learning_curve.py

# The compiled kernel under GCC's sanitizers of addresses and of undefined behaviour; then as it was.
sanitize: SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize: $(READY)
	CFLAGS="-g $(SANITIZERS)" LDFLAGS="$(SANITIZERS)" $(BIN)/pip install --quiet --disable-pip-version-check -e .
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 $(BIN)/python -m pytest tests/test_kernel.py tests/test_lattice.py
	$(BIN)/pip install --quiet --disable-pip-version-check -e .

# Speed against peers, growth and memory; writes benchmarks/README.md.
bench: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench,tables]'
	$(BIN)/python benchmarks/speed.py

# Data frames and Spark against one process and a plain list; writes benchmarks/ecosystem.md.
bench-ecosystem: $(READY)
	$(BIN)/python benchmarks/ecosystem.py

# What is left of the quality when messages are disguised; writes benchmarks/robustness.md.
robustness: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[tables]'
	$(BIN)/python benchmarks/robustness.py

# Honest texts of strangers that are taken for fraud, by length; writes benchmarks/reading.md.
reading: $(READY)
	$(BIN)/python benchmarks/reading.py

# The tables of characters, anew from Unicode's, OpenCC's and others' data, and of their neighbours, from the corpus.
tables: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[tables]'
	$(BIN)/python tools/build_normalization.py
	$(BIN)/python tools/build_disguise.py

# The package alone; the tests need far more, Spark among it.
$(INSTALLED): setup.cfg setup.py pyproject.toml fraudscan/_engine.c
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fraudscan needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $(INSTALLED)

$(READY): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
