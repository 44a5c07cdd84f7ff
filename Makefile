# `make demo`, `make test` and `make lint` do all the set-up on a machine with Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo fleet-demo setup fleet test browser lint faults quality bench format lock clean

# A fleet to watch, in a minute: neither torch nor a server is needed.
demo: $(VENV)/.demo
	$(BIN)/enginewatch demo

$(VENV)/.demo: pyproject.toml
	@echo "installing into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[demo]'
	@touch $@

# Two thousand vehicles on Kafka, Spark and InfluxDB, on this machine. Java and influxd have to be there.
# `make fleet-demo ARGS="--vehicles 500 --duration 300"` for smaller machines.
fleet-demo: $(VENV)/.fleet-demo
	$(BIN)/enginewatch fleet demo $(ARGS)

$(VENV)/.fleet-demo: pyproject.toml
	@echo "installing into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e '.[fleet]'
	@touch $@

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[train,evaluate,dev]'
	touch $@

# The extra of the line on Spark, half a gigabyte; its tests are skipped without, and without Java.
fleet: $(VENV)/.fleet

$(VENV)/.fleet: $(VENV)/.installed
	$(PIP) -e '.[fleet]'
	touch $@

# Three at a time, also on two cores: while some wait, others compute. Who is done takes over from the others.
test: setup
	$(BIN)/pytest --numprocesses 3 --dist worksteal
	$(BIN)/pytest -m fleet tests/fleet

# The page in a real Chromium. Pictures of every view, dark and light, are kept in build/pictures.
browser: setup
	$(BIN)/pytest -m browser tests/browser

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every fault in full, two at a time, an hour of soak among them, and the table in docs/reliability.md of what was found.
# `make test` does a little of each. ENGINEWATCH_SOAK_S=36000 soaks for ten hours.
faults: fleet
	rm -f .faults.jsonl
	ENGINEWATCH_FAULTS=full ENGINEWATCH_FAULTS_FILE=.faults.jsonl \
		$(BIN)/pytest --numprocesses 2 --dist worksteal tests/faults; code=$$?; \
	$(BIN)/python -m tests.faults.report .faults.jsonl && exit $$code

# The shipped model built anew and compared, plants it knows nothing of, and detection on the recorded machines in the
# folder DATA (left out where there is none): a quarter of an hour each. Fails where a figure became worse by more than
# its interval.
quality: setup
	$(BIN)/python -m benchmarks.pretrained verify
	$(BIN)/python -m benchmarks.plants
	$(if $(DATA),$(BIN)/python -m benchmarks.detection --data $(DATA),@echo "make quality DATA=FOLDER judges detection too")

# How fast it is, each figure beside a reference of the same run: five minutes at the most, best on a machine that does
# nothing else. Writes benchmarks/results.json and the table in docs/performance.md; `make bench ARGS=--compare` writes
# nothing and fails where a figure became worse by more than its spread; `make bench ARGS="NAME..."` measures some.
bench: setup
	$(BIN)/python -m benchmarks.speed $(ARGS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV)

# The versions that a plant installs, with hashes; after a change of the base dependencies.
lock: setup
	$(PIP) pip-tools
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--output-file requirements.lock pyproject.toml
