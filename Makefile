# `make demo`: the whole product on this machine. `make serve`: its model behind OpenAI's API. `make test`: the tests.
# Each sets up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo serve test lint

$(VENV)/.installed: requirements.txt train/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet -r train/requirements.txt
	touch "$@"

demo: $(VENV)/.installed
	"$(BIN)/python" train/demo.py

serve: $(VENV)/.installed
	"$(BIN)/python" train/serve.py

test: $(VENV)/.installed
	"$(BIN)/python" -m ruff check .
	"$(BIN)/python" -m ruff format --check .
	"$(BIN)/python" -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.installed
	"$(BIN)/python" -m ruff check --fix .
	"$(BIN)/python" -m ruff format .
