# The two commands a newcomer needs: `make demo` and `make test`. Each sets itself up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
CORES ?= all
# The folder of the run that `make verify` checks.
RUN ?= demo
# Of make faults: what is done, and after how long nothing more is begun.
SEEDS ?= 1
MINUTES ?= 60
# The newest Python of at least 3.11 that is here, unless PYTHON names one.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-bench
# Which Snakemake to test with, such as SNAKEMAKE_VERSION='==9.16.*'; by default that of constraints.txt.
SNAKEMAKE_VERSION ?=
# Scripts that start a SLURM cluster of one node and stop it, and a conda front end for a local channel.
TOOLS ?= ../shared/tools
PEERS_STAMP := $(PEERS)/.installed
FRONT := .venv-conda
FRONT_STAMP := $(FRONT)/.installed
CHANNELS := $(abspath $(FRONT))/channels
SNAKEMAKE := $(BIN)/snakemake
SNAKEFILES := workflow/Snakefile workflow/rules
DEMO := $(SNAKEMAKE) --snakefile workflow/Snakefile --directory demo --configfile config/demo.yaml

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo verify test test-workflow test-slurm test-conda bad-input faults lint dry-run format bench clean

help:
	@echo "make demo     simulate a genome and ChIP-seq sets, run the whole workflow on them, show the table"
	@echo "make verify   compare the demo's files, or those of RUN=FOLDER, with the checksums recorded"
	@echo "make setup    make $(VENV) with all programs, which the others do by themselves"
	@echo "make test     lint, then the tests (without those marked slow, slurm and conda)"
	@echo "make test-slurm      the tests marked slurm, on a cluster of one node that $(TOOLS)/slurm/up starts"
	@echo "make test-conda      the tests marked conda, with local channels of what is installed, by $(TOOLS)/conda"
	@echo "make test-workflow   the tests of the rules alone; VENV=.venv-9.16 SNAKEMAKE_VERSION='==9.16.*' with that Snakemake"
	@echo "make bad-input       what comes of malformed inputs and of files spoilt at random, as a table"
	@echo "make lint     ruff, snakefmt, snakemake --lint"
	@echo "make dry-run  what the demo and the published experiment would run"
	@echo "make format   bring the sources into the form that lint asks for"
	@echo "make bench    run the benchmarks of tests/benchmark, an hour; QUICK=1 for a look, some minutes"
	@echo "make faults   kill, fill, damage and disturb a small run in all its stages, an hour; SEEDS='1 2 3', MINUTES=30"
	@echo "make clean    remove the demo, caches, $(VENV), $(PEERS) and $(FRONT)"
	@echo "Settings: PYTHON=python3.12  VENV=.venv  CORES=all  RUN=demo"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "DFLM needs Python 3.11 or newer, and there is none; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "$(PYTHON) is no Python of 3.11 or newer; name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		version=$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing $$version, which $(PYTHON) lacks"; \
			apt-get update -qq && { apt-get install -qq -y "$$version" || apt-get install -qq -y python3-venv; }; \
		else \
			echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: sudo apt-get install $$version" >&2; exit 1; \
		fi; fi
	@echo "setting up $(VENV), once"
	@"$(PYTHON)" -m venv "$(VENV)"
	@"$(BIN)/python" -m pip install -q -c constraints.txt 'pip>=25.1'
	@"$(BIN)/python" -m pip install -q -c constraints.txt --group dev
	@if [ -n "$(SNAKEMAKE_VERSION)" ]; then \
		"$(BIN)/python" -m pip install -q -U "snakemake$(SNAKEMAKE_VERSION)"; fi
	@# The command as a launcher: an installed library would be found before the one beside the rules.
	@printf '#!/bin/sh\nPYTHONPATH="%s$${PYTHONPATH:+:$$PYTHONPATH}" exec "%s" -m dflm.cli "$$@"\n' \
		"$(CURDIR)/workflow/scripts" "$(abspath $(BIN))/python" > "$(BIN)/dflm" && chmod +x "$(BIN)/dflm"
	@touch "$@"

demo: $(STAMP)
	@mkdir -p demo
	@# Small models gain little from threads: one for each training, several side by side.
	@$(DEMO) --cores "$(CORES)" --quiet rules \
		--set-threads pretrain_lm=2 finetune_lm=1 train_classifier=1 predict=1 run_cnn=1 attribute=1
	@$(DEMO) --report report.zip --quiet all
	@"$(BIN)/python" workflow/scripts/show_table.py demo/results/summary/auc.tsv
	@echo "table and plot: demo/results/summary/   sets: demo/results/classify/   motifs: demo/results/summary/motifs.html   report: demo/report.zip"
	@echo "provenance: demo/results/summary/provenance.json   \`make verify\` checks every file against it"

verify: $(STAMP)
	@PYTHONPATH=workflow/scripts "$(BIN)/python" -m dflm.cli verify "$(RUN)"

test: lint
	@# A thread for each of two workers: more threads than cores make torch wait for itself. In the
	@# order of the folders the long files come first, and no worker is left alone with one at the end.
	@# SLURM's plugin asks the cluster at each start of Snakemake, ten seconds long where the cluster
	@# is down: these tests have none.
	@SLURM_CONF=/dev/null OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not slurm and not conda"

test-workflow: $(STAMP)
	@if [ -n "$(SNAKEMAKE_VERSION)" ]; then "$(BIN)/python" -c 'import sys; from importlib.metadata import version; from packaging.specifiers import SpecifierSet; \
		sys.exit(version("snakemake") not in SpecifierSet(sys.argv[1]))' "$(SNAKEMAKE_VERSION)" || { \
		echo "$(VENV) is there already, with another Snakemake; give this one its own: make $@ VENV=.venv-snakemake SNAKEMAKE_VERSION='$(SNAKEMAKE_VERSION)'" >&2; exit 1; }; fi
	@SLURM_CONF=/dev/null OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/workflow

# One start of the cluster, which is then made one of two nodes; it goes down again whatever the
# tests come to.
test-slurm: $(STAMP)
	@if [ ! -x "$(TOOLS)/slurm/up" ]; then \
		echo "there is no $(TOOLS)/slurm/up, which starts the cluster; name the folder: make test-slurm TOOLS=FOLDER" >&2; exit 1; fi
	@trap 'tests/integration/two_nodes.sh down; "$(TOOLS)/slurm/down"' EXIT; "$(TOOLS)/slurm/up"; \
		OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -m slurm tests/integration/test_slurm.py; \
		tests/integration/two_nodes.sh up; \
		OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -m slurm tests/integration/test_slurm_nodes.py

# The solver that the conda front end of the tools drives, and what packs the local channels.
$(FRONT_STAMP): constraints.txt | $(STAMP)
	@if [ ! -x "$(TOOLS)/conda/bin/conda" ]; then \
		echo "there is no $(TOOLS)/conda/bin/conda, a front end of conda; name the folder: make test-conda TOOLS=FOLDER" >&2; exit 1; fi
	@if ! "$(BIN)/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
		echo "the environments ask for Python 3.11, and the channels hold the Python of $(VENV): set it up with PYTHON=python3.11" >&2; exit 1; fi
	@echo "setting up $(FRONT), once"
	@"$(BIN)/python" -m venv "$(FRONT)"
	@"$(FRONT)/bin/python" -m pip install -q py-rattler pyyaml zstandard
	@touch "$@"

test-conda: $(FRONT_STAMP)
	@rm -rf "$(CHANNELS)"
	@"$(FRONT)/bin/python" tests/integration/conda_channel.py "$(CHANNELS)" \
		"$$("$(BIN)/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		"$(TOOLS)/conda/mkchannel.py" workflow/envs/*.yaml >/dev/null
	@DFLM_CONDA_CHANNELS="$(CHANNELS)" PATH="$(abspath $(FRONT))/bin:$(abspath $(TOOLS))/conda/bin:$$PATH" \
		OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest -m conda tests/integration/test_conda.py

bad-input: $(STAMP)
	@OMP_NUM_THREADS=1 PYTHONPATH=workflow/scripts:tests/workflow:tests/unit \
		"$(BIN)/python" tests/benchmark/bad_input.py

lint: $(STAMP)
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/snakefmt" --check $(SNAKEFILES)
	@$(SNAKEMAKE) --snakefile workflow/Snakefile --configfile config/demo.yaml --lint

dry-run: $(STAMP)
	@$(DEMO) --dry-run --quiet rules
	@$(SNAKEMAKE) --snakefile workflow/Snakefile --dry-run --quiet rules

format: $(STAMP)
	@"$(BIN)/ruff" check --fix .
	@"$(BIN)/ruff" format .
	@"$(BIN)/snakefmt" $(SNAKEFILES)

# The benchmark's peers, fastai above all, stay out of the environment that does the work. Where
# they cannot be had, the benchmark says so and goes on.
$(PEERS_STAMP): tests/benchmark/peers.txt constraints.txt | $(STAMP)
	@echo "setting up $(PEERS), once"
	@"$(BIN)/python" -m venv "$(PEERS)"
	@"$(PEERS)/bin/python" -m pip install -q -c constraints.txt -r tests/benchmark/peers.txt \
		&& touch "$@" || { rm -rf "$(PEERS)"; echo "the peers cannot be installed: going on without"; }

bench: $(STAMP) $(PEERS_STAMP)
	@failed=; for script in tests/benchmark/bench_*.py; do \
		echo "== $$script"; \
		PYTHONPATH=workflow/scripts "$(BIN)/python" "$$script" $(if $(QUICK),--quick) || failed+=" $$script"; \
	done; if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

# In a folder of its own, where disks can be mounted: root is needed for those of the faults.
faults: $(STAMP)
	@OMP_NUM_THREADS=1 "$(BIN)/python" tests/integration/run_faults.py --directory faults --seeds $(SEEDS) --minutes $(MINUTES)

clean:
	rm -rf demo faults "$(VENV)" "$(PEERS)" "$(FRONT)" .pytest_cache .ruff_cache .hypothesis
