# Every verb of the project. `make up` starts the platform; `make test` runs everything CI runs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export UV_PROJECT_ENVIRONMENT := .venv
VENV := .venv
READY := $(VENV)/.ready
PYTHON ?= python3
RUN := $(VENV)/bin

help:  ## show the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements.lock pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh $(VENV)
	@touch $@

setup: $(READY)  ## install everything into .venv

web: $(READY)  ## build the dashboard into web/dist, if its sources have changed
	@scripts/web.sh

up: $(READY)  ## start the platform and print the one-time link
	@scripts/web.sh --if-possible
	@exec env -u PYTHONDONTWRITEBYTECODE $(RUN)/monjolo up

lock:  ## resolve the dependencies again and rewrite requirements.lock
	$(RUN)/uv pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --group dev pyproject.toml -o requirements.lock --no-emit-package monjolo

check: $(READY)  ## format, types, arrows of import (and a probe that they turn red)
	@scripts/check.sh

test: $(READY) web check  ## everything CI runs
	@scripts/test.sh

chaos: $(READY)  ## kill the platform while it works and count what is lost: SCALE=0.1 SEED=… ONLY=kills
	@SCALE=$(SCALE) SEED=$(SEED) ONLY=$(ONLY) scripts/chaos.sh

bench: $(READY)  ## measure against other systems on this machine: NAME=throughput for one
	@scripts/bench.sh $(NAME)

simulate: $(READY)  ## explore N worlds from SEED on, with faults: make simulate N=100000 SEED=0
	@PYTHONPATH=server:sdk/python:. $(RUN)/python -m tests.simulation run --n $(or $(N),10000) --seed $(or $(SEED),0)

mutants: $(READY)  ## plant each known bug in the simulated world and count the worlds until it is caught
	@PYTHONPATH=server:sdk/python:. $(RUN)/python -m tests.simulation mutants

api-types: $(READY) web  ## write the types of the dashboard's API client again, from OpenAPI
	@$(RUN)/python scripts/web_types.py

shots: $(READY) web  ## screenshots of every screen, both themes and languages, at 1440 and 360 px, into web/shots
	@$(RUN)/python web/e2e/shots.py

docs: $(READY)  ## write the reference pages again that are made from the code, and the figures of the READMEs
	@$(RUN)/python scripts/docs.py && $(RUN)/python scripts/readme_figures.py
	@[ ! -d web/node_modules ] || $(RUN)/python scripts/web_types.py

.PHONY: help setup web up lock check api-types shots test simulate mutants chaos bench docs
