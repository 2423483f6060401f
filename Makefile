PYTHON ?= python3.11
PORT ?= 8005
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# stamps: what serving needs, and what all else needs, which includes it
SERVING := $(VENV)/.serving
INSTALLED := $(VENV)/.installed
REFERENCE := bench/reference/.venv/.installed

.PHONY: install serve test test-slow check docs format bench pocket clean

install: $(INSTALLED)

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)

$(SERVING): pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP_INSTALL) -e '.[openvino]'
	touch $@

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP_INSTALL) -e '.[dev]'
	touch $(SERVING) $@

serve: $(SERVING)
	$(BIN)/loopwright serve --port $(PORT)

# a process per core; a file's tests run in one process, since they share what is slow to set up
test: $(INSTALLED)
	$(BIN)/pytest -m 'not slow' -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(INSTALLED)
	$(BIN)/pytest -m slow --timeout 1200

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.count_style

# the site, in site/; fails for a link that leads nowhere
check: docs
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# half an hour on two cores, 5 GB of disk; `python -m bench --help` for parts of it. `python -m bench.fairness`
# measures how clients share the server (five minutes, no reference), `python -m bench.slow_clients` what clients
# that stall do to it (two minutes)
bench: $(INSTALLED) $(REFERENCE)
	$(BIN)/python -m bench

$(REFERENCE): bench/reference/install.sh constraints.txt
	PYTHON=$(PYTHON) bench/reference/install.sh
	touch $@

# The embedded model from nothing: see training/README.md. Started again, it goes on where it was.
# `make pocket POCKET_SHARE=0.005` runs every stage on a little of everything, in minutes.
TRAIN := PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python -m training
# a line's second half has ended well; so must its first, and the other way round
BOTH := wait $$! || { kill $$! 2>/dev/null; false; }

pocket: $(INSTALLED)
	$(TRAIN).drum_codec & $(TRAIN).tone_codec && $(TRAIN).encoder --only-bank && $(BOTH)
	$(TRAIN).latents --part 0 --parts 2 & $(TRAIN).latents --part 1 --parts 2 && $(BOTH)
	$(TRAIN).denoiser & $(TRAIN).encoder && $(TRAIN).drum_bodies && $(TRAIN).drum_codec --decoder-only && $(BOTH)
	$(TRAIN).export
	$(TRAIN).references
	$(TRAIN).takes new
	$(TRAIN).evaluate new
	$(TRAIN).score_heard
	$(TRAIN).copies
	$(TRAIN).pictures new

clean:
	rm -rf $(VENV) bench/reference/.venv bench/.cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist site
