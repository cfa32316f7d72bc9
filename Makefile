# The pipeline's face. Plain `make` prints what there is.
.DEFAULT_GOAL := help
.PHONY: help setup run range daily force import status plan doctor verify recheck prune sql scheduler demo
.PHONY: test faults lint check bench audit clean lock
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

PYTHON ?= python3
DAYS ?= 7
PORT ?= 8082
BIN := .venv/bin
PIPELINE := $(BIN)/python -m pipeline

comma := ,
# recheck's own default is not daily's.
RECHECKED := $(if $(filter file,$(origin DAYS)),3,$(value DAYS))
# Anything that a command does not take is a slip, which make itself would pass over: verify DATE= would read all days.
TAKES := run:DATE range:FROM range:TO daily:DAYS force:DATE force:UNDO import:DATE import:FROM import:REPLACE plan:FROM plan:TO \
  verify:FROM verify:TO verify:REPAIR recheck:FROM recheck:TO recheck:DAYS recheck:REPLACE prune:KEEP_DAYS prune:WHAT prune:YES \
  sql:Q sql:CSV scheduler:PORT
NAMES := DATE FROM TO DAYS KEEP_DAYS WHAT YES REPAIR REPLACE UNDO Q CSV PORT date from to days keep_days what yes repair replace undo q csv port
GIVEN := $(foreach name,$(NAMES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach goal,$(MAKECMDGOALS),$(foreach name,$(GIVEN),$(if $(filter $(goal):$(name),$(TAKES)),,\
  $(error make $(goal) takes no $(name)=. It takes $(or $(patsubst $(goal):%,%=,$(filter $(goal):%,$(TAKES))),nothing)))))
# REPAIR=yes would do nothing, and look as if it had.
$(foreach switch,REPAIR REPLACE UNDO YES CSV,$(if $(filter-out 1,$($(switch))),$(error $(switch)=$($(switch)) is unknown. Write $(switch)=1, or leave it out)))
# Arguments travel by the environment, so that no shell reads them twice; and as they were typed: `$` is none of make's.
# Only those there are: one that is exported empty would be taken for a slip by the make under this one.
TYPED := $(foreach name,DATE FROM TO Q KEEP_DAYS WHAT,$(if $(filter-out undefined,$(origin $(name))),$(name)))
$(foreach name,$(filter FROM Q,$(TYPED)),$(eval override $(name) := $$(value $(name))))
export DAYS RECHECKED PORT $(TYPED)
# An empty DATE is a slip of a script (DATE=$$DAY), not yesterday: it is passed on, and refused.
SPAN := $(if $(filter FROM,$(TYPED)),--from "$$FROM") $(if $(filter TO,$(TYPED)),--to "$$TO")
# luigid is on this machine: no proxy stands before it. Cron has no locale: text is UTF-8 all the same.
export NO_PROXY := $(if $(NO_PROXY),$(NO_PROXY)$(comma),)127.0.0.1,localhost
export no_proxy := $(NO_PROXY)
export PYTHONUTF8 := 1
ifeq ($(SCHEDULER),central)
export LUIGI_CONFIG_PATH := luigi.central.cfg
else ifneq ($(SCHEDULER),)
$(error SCHEDULER=$(SCHEDULER) is unknown. Write SCHEDULER=central, or leave it out)
endif

help: ## Print what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv from the locked requirements (PYTHON=python3.13 for another Python)
	@if [ "$(origin PYTHON)" = "command line" ] && [ "$$($(PYTHON) -V)" != "$$($(BIN)/python -V 2>&1)" ]; then \
	  rm -f .venv/.setup; fi
	@$(MAKE) -s .venv/.setup && echo ".venv is ready: $$($(BIN)/python -V)"

run: .venv/.setup ## One day to the end of the chain: DATE=YYYY-MM-DD, else yesterday (UTC)
	@$(PIPELINE) run $(if $(filter DATE,$(TYPED)),--date "$$DATE")

range: .venv/.setup ## Every missing day, both ends included, oldest first: FROM=YYYY-MM-DD TO=YYYY-MM-DD
	@$(PIPELINE) range --from "$$FROM" --to "$$TO"

daily: .venv/.setup ## For cron: every missing settled day of the last DAYS=7; silent on success without a terminal
	@$(PIPELINE) daily --days "$$DAYS"

force: .venv/.setup ## Do a day again and replace it whole: DATE=YYYY-MM-DD [UNDO=1: take that back]
	@$(PIPELINE) force --date "$$DATE" $(if $(filter 1,$(UNDO)),--undo)

import: .venv/.setup ## A day from a ZIP or an S3 folder: DATE=YYYY-MM-DD FROM=path [REPLACE=1]
	@$(PIPELINE) import --date "$$DATE" --from "$$FROM" $(if $(filter 1,$(REPLACE)),--replace)

status: .venv/.setup ## The days there are, the gaps, sizes and counts
	@$(PIPELINE) status

plan: .venv/.setup ## What a range would take: missing days and hours, requests, bytes, minutes: FROM=YYYY-MM-DD TO=YYYY-MM-DD
	@$(PIPELINE) plan --from "$$FROM" --to "$$TO"

doctor: .venv/.setup ## What is wrong before a run says so; sends one cheap request
	@$(PIPELINE).commands.doctor

verify: .venv/.setup ## Read every stored byte again and compare it with its record: [FROM= TO=] [REPAIR=1]
	@$(PIPELINE) verify $(SPAN) $(if $(filter 1,$(REPAIR)),--repair)

recheck: .venv/.setup ## Ask Amplitude for settled days again, and compare: [FROM= TO=] [REPLACE=1]; else up to DAYS=3 that are due
	@$(PIPELINE) recheck $(SPAN) --days "$$RECHECKED" $(if $(filter 1,$(REPLACE)),--replace)

prune: .venv/.setup ## Remove the JSON (WHAT=events) or the ZIPs (WHAT=raw YES=1) of loaded days older than KEEP_DAYS=n
	@$(PIPELINE) prune --keep-days "$$KEEP_DAYS" --what "$$WHAT" $(if $(filter 1,$(YES)),--yes)

sql: .venv/.setup ## Ask the warehouse: Q="select ..." prints a table [CSV=1: all rows as CSV]; without Q a prompt
	@$(PIPELINE) sql $(if $(filter Q,$(TYPED)),--query "$$Q") $(if $(filter 1,$(CSV)),--csv)

scheduler: .venv/.setup ## Luigi's web view on http://127.0.0.1:8082 (PORT=); SCHEDULER=central makes runs use it
	@$(BIN)/python -c 'import socket, sys; socket.create_server(("127.0.0.1", int(sys.argv[1])))' "$$PORT" 2>/dev/null || \
	  { echo "PORT=$$PORT is taken, or no port. If the web view runs already: http://127.0.0.1:$$PORT; else another: make scheduler PORT=8083" >&2; exit 2; }
	@echo "Luigi's web view: http://127.0.0.1:$$PORT, until Ctrl-C. Runs report to it with SCHEDULER=central$(if \
	  $(filter-out 8082,$(PORT)),$(comma) once default_scheduler_url in luigi.central.cfg has that port)"
	@umask 077 && mkdir -p data/.luigid && chmod 700 data/.luigid && exec $(BIN)/luigid --address 127.0.0.1 --port "$$PORT"

demo: .venv/.setup ## The whole chain on the sandbox, without an account, in folders of its own
	@$(BIN)/python -m pipeline.sandbox.demo

test: .venv/.setup-dev ## The tests
	@$(BIN)/python -m pytest $(ARGS)

faults: .venv/.setup-dev ## The fault suite, every point: what was lost, doubled or seen half-written while things broke
	@FAULTS=all $(BIN)/python -m pytest tests/faults tests/operations/test_verify.py --dist=load $(ARGS)

lint: .venv/.setup-dev ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test ## Both: what CI runs

bench: .venv/.setup-dev .venv-bench/.setup ## Speed and memory beside what one would run instead: EVENTS=1000000 ONLY="load year"
	@$(BIN)/python -m bench $(if $(EVENTS),--events "$(EVENTS)") $(if $(ONLY),--only $(ONLY))

audit: .venv-audit/.setup ## Known holes in the locked packages (pip-audit), and their list in sbom.json (CycloneDX)
	@.venv-audit/bin/python .ci/audit.py

clean: .venv/.setup ## Remove leftovers of unfinished runs, caches and the demo; never days or logs
	@$(PIPELINE) clean

lock: .venv/.setup-dev ## Compile the requirements again, pinned with hashes
	@for name in requirements requirements-dev bench/requirements .ci/requirements; do $(BIN)/uv pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" $$name.in --output-file $$name.txt; done

# A link would be emptied where it leads to.
define make_venv
@! test -L $(1) || { echo "$(1) is a link to another environment. Remove it (rm $(1)), then type this again." >&2; exit 2; }
@$(2) -m venv --clear $(1)
endef

.venv/.setup: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11 to 3.13 is needed; $(PYTHON) is another. Try: make setup PYTHON=python3.12" >&2; exit 2; }
	@echo "Setting up .venv (once) ..." >&2
	$(call make_venv,.venv,$(PYTHON))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.setup-dev: requirements-dev.txt .venv/.setup
	@echo "Installing what the tests need (once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv-audit/.setup: .ci/requirements.txt | .venv/.setup
	@echo "Installing what the audit needs (once) ..." >&2
	$(call make_venv,.venv-audit,$(BIN)/python)
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/requirements.txt
	@touch $@

.venv-bench/.setup: bench/requirements.txt | .venv/.setup
	@echo "Installing what the benchmark compares with (once) ..." >&2
	$(call make_venv,.venv-bench,$(BIN)/python)
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/requirements.txt
	@touch $@
