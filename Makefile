# Every target makes its own .venv; nothing else is needed but Python 3.11-3.13, make and pip's network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Small networks on shared cores: more threads than cores can be 50 times slower than one.
export OMP_NUM_THREADS ?= 1
# Prepared data of the demo and the tests stay in the checkout.
DEMO_DATA := .data
# The demo's networks, and six light ones of Table III more.
STORE_MODELS := @demo,edanet,lednet,espnet,mobilenetv3-miniseg,shufflenet-miniseg,bisenet

.PHONY: help install demo test slow chaos fuzz learn lint format zoo store gallery bench clean

help:  ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)  ## Make .venv and install covbench with all extras into it

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  "covbench needs Python 3.11 to 3.13; this is %d.%d.\nName another: make PYTHON=python3.12 ..." % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## Train the fifteen @demo networks on the phantom; leaves runs/ and a leaderboard
	COVBENCH_DATA=$(DEMO_DATA) $(BIN)/covbench run --models @demo --data phantom --protocol smoke

test: $(INSTALLED)  ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

slow: $(INSTALLED)  ## Run what takes long: learning, chaos
	$(BIN)/python -m pytest -m slow

chaos: $(INSTALLED)  ## Kill workers and drivers, fill the disk, 5 min on each engine; writes docs/chaos.log
	rm -f docs/chaos.log
	COVBENCH_CHAOS_NETWORKS=7 COVBENCH_CHAOS_FOLDS=4 COVBENCH_CHAOS_SEEDS=2 \
	  COVBENCH_CHAOS_SECONDS=300 COVBENCH_CHAOS_LOG=docs/chaos.log \
	  $(BIN)/python -m pytest -s -o timeout=1800 tests/runners/chaos

fuzz: $(INSTALLED)  ## Fuzz every reader for 60 s; findings lie in build/fuzz
	$(BIN)/python -m tests.fuzz

learn: $(INSTALLED)  ## Train every network whose source changed until it beats the trivial ones
	COVBENCH_DATA=$(DEMO_DATA) $(BIN)/python -m bench.learn

lint: $(INSTALLED)  ## Check style (ruff) and types (mypy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

zoo: $(INSTALLED)  ## Write docs/zoo.md anew from the cards
	$(BIN)/python -m reports.zoo_page docs/zoo.md

store: $(INSTALLED)  ## Train the networks of results/stores/phantom.covbench anew (about 20 min) and pack them
	rm -rf build/phantom
	COVBENCH_DATA=$(DEMO_DATA) $(BIN)/covbench run --models $(STORE_MODELS) --protocol smoke \
	  --set max_steps=60 --set class_weights=miniseg --folds 1-3 --seeds 0-1 --out build/phantom --yes
	$(BIN)/covbench export --from build/phantom --to results/stores/phantom.covbench \
	  --predictions first-seed --masks

gallery: $(INSTALLED)  ## Make the tables and figures of docs/gallery.md anew from the shipped store
	COVBENCH_DATA=$(DEMO_DATA) $(BIN)/python -m bench.gallery

bench: $(INSTALLED)  ## Print speed and memory as ratios against named references
	$(BIN)/python -m bench

clean:  ## Remove caches and the demo's data; runs/ and .venv stay
	rm -rf $(DEMO_DATA) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
