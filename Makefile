# Everything a user or CI calls. `make` alone lists the targets.

PYTHON ?= python3
RUNNER := .venv/bin/python -m runner
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup train smoke validate diff lock evidence statistics test lint format check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## make .venv and install; the other targets do it where needed

# The stamp is written last, so that an interrupted installation is done again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is missing or older than Python 3.11;" \
	       "install a newer one, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@.venv/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip
	@echo "installing into .venv (about 6 GB with torch, one to two minutes)" >&2
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check \
	  --editable ".[dev]" --constraint constraints.txt
	@touch $@

train: $(INSTALLED) ## train: RECIPE=uav_fixed [DATA=dir] [ARGS="--set train.epochs=1"]
	@$(call needs,RECIPE,uav_fixed)
	$(RUNNER) train "$(RECIPE)" $(if $(DATA),--data "$(DATA)") $(ARGS)

smoke: $(INSTALLED) ## two steps of each recipe, with resume: [RECIPE=name] [ARGS=...]
	$(RUNNER) smoke $(RECIPE) $(ARGS)

validate: $(INSTALLED) ## check all recipes: [RECIPE=name] [ARGS=--json]
	$(RUNNER) validate $(RECIPE) $(ARGS)

diff: $(INSTALLED) ## what differs, why, and what follows: A=uav_baseline B=uav_fixed
	@$(call needs,A,uav_baseline)
	@$(call needs,B,uav_fixed)
	$(RUNNER) diff "$(A)" "$(B)" $(ARGS)

lock: $(INSTALLED) ## pin new versions of recipes: meaning and losses; what is pinned stays
	$(RUNNER) validate --write-lock
	$(RUNNER) trace --write

evidence: $(INSTALLED) ## train all versions of a scenario, and table them: SCENARIO=uav
	@$(call needs,SCENARIO,uav)
	$(RUNNER) evidence "$(SCENARIO)" $(ARGS)

# With a cache of its own: the user's may hold what an older generator wrote.
statistics: $(INSTALLED) ## measure the embedded samples anew, after a generator has changed
	rm -rf build/statistics && mkdir -p build/statistics
	echo "cache: build/statistics/cache" > build/statistics/machine.yaml
	for pair in uav:uav_baseline vesuvius:vesuvius_corrected pointer:pointer_mse \
	            yolov8:yolov8_original s4gan:s4gan_corrected; do \
	  $(RUNNER) analyze "$${pair#*:}" --machine build/statistics/machine.yaml \
	    --out "build/statistics/$${pair%%:*}" && \
	  cp "build/statistics/$${pair%%:*}/analysis.json" \
	    "runner/data/samples/statistics/$${pair%%:*}.json" || exit; done

# A process for each core, and a file of tests to one process: its fixtures are made once.
test: $(INSTALLED) ## run the tests: [ARGS="-k resume"]
	.venv/bin/python -m pytest -q --numprocesses auto --maxprocesses 8 --dist loadfile $(ARGS)

lint: $(INSTALLED) ## formatting, style and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format: $(INSTALLED) ## put the formatting right
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

check: lint test ## what a change must pass

clean: ## remove what tools left; .venv and runs stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
	find runner tests -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call needs,VARIABLE,example): end with the cure where a variable is not given.
needs = $(if $($(1)),:,echo "say $(1)=..., as in: make $@ $(1)=$(2)" >&2; exit 2)
