# Two commands are all a newcomer needs: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

.PHONY: demo test lint types unit corpus-check learning-curve sanitize bench bench-ecosystem robustness reading model card cases tables clean

demo: $(INSTALLED)
	$(BIN)/python examples/demo.py

test: lint types corpus-check unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Types: the package, and the examples as a user's code that imports it.
types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy examples

unit: $(READY)
	$(BIN)/python -m pytest

# Checks the corpus; prints the datasheet's table.
corpus-check: $(READY)
	$(BIN)/python tools/check_corpus.py

# Trains the shipped model on the corpus.
model: $(READY)
	$(BIN)/fraudscan train corpus -o models/default
	$(MAKE) card

# Writes the model card, with figures on the evaluation sets if ../shared has them.
card: $(READY)
	$(BIN)/fraudscan evaluate --card $(wildcard ../shared/eval/dev)

# Updates the list of the messages in tests/cases that the model gets wrong.
cases: $(READY)
	$(BIN)/python tools/sort_cases.py

# Measures what a larger corpus would gain; needs the evaluation sets in ../shared.
learning-curve: $(READY)
	$(BIN)/python tools/learning_curve.py

# Tests the kernel with GCC's address and undefined-behaviour sanitizers, then rebuilds it without them.
sanitize: SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize: $(READY)
	CFLAGS="-g $(SANITIZERS)" LDFLAGS="$(SANITIZERS)" $(PIP) -e .
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 $(BIN)/python -m pytest tests/test_kernel.py tests/test_lattice.py
	$(PIP) -e .

# Measures speed against peers, growth and memory; writes benchmarks/README.md.
bench: $(READY)
	$(PIP) -e '.[bench,tables]'
	$(BIN)/python benchmarks/speed.py

# Compares data frames and Spark with one process and a plain list; writes benchmarks/ecosystem.md.
bench-ecosystem: $(READY)
	$(BIN)/python benchmarks/ecosystem.py

# Measures the quality on disguised messages; writes benchmarks/robustness.md.
robustness: $(READY)
	$(PIP) -e '.[tables]'
	$(BIN)/python benchmarks/robustness.py

# Measures false alarms on third-party honest texts, by length; writes benchmarks/reading.md.
reading: $(READY)
	$(BIN)/python benchmarks/reading.py

# Rebuilds the tables of characters (from the data of Unicode, OpenCC and others) and of neighbours (from the corpus).
tables: $(READY)
	$(PIP) -e '.[tables]'
	$(BIN)/python tools/build_normalization.py
	$(BIN)/python tools/build_disguise.py

# Only the package; the tests need far more, including Spark.
$(INSTALLED): setup.cfg setup.py pyproject.toml $(wildcard fraudscan/*.[ch])
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fraudscan needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $(INSTALLED)

$(READY): $(INSTALLED)
	$(PIP) -e '.[test]'
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
