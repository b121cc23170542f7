# Two commands carry the project: `make book` and `make test`. Both set up .venv from nothing.

PYTHON ?= python3
BIN := .venv/bin

# Stored outputs are NumPy's, drawn by Jupyter's own figure backend, on every machine.
export ADAM_TUTORIAL_BACKEND := numpy
unexport MPLBACKEND

.DEFAULT_GOAL := help
.PHONY: help setup agree book serve test lint tangle edit chapters colab bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup:
	@$(PYTHON) tools/bootstrap.py

agree: setup # package, ledger and plain notebooks are what the chapters say
	@$(BIN)/python tools/tangle.py --check
	@$(BIN)/python tools/ledger.py --check
	@$(BIN)/python tools/colab.py --check

# From nothing: a rebuild of the changed pages only would keep old pages, and forget the warnings of the others.
book: agree ## build the book into _build/html; a warning is an error
	@rm -rf _build/html
	@$(BIN)/jupyter-book build -W -n --keep-going --all .
	@test -s _build/html/index.html || { echo "No book: jupyter-book wrote no _build/html/index.html." >&2; exit 1; }
	@echo "The book is _build/html/index.html. To read it in a browser, run make serve."

serve: ## show the book at http://127.0.0.1:8000
	@test -f _build/html/index.html || { echo "There is no book yet: run make book." >&2; exit 1; }
	@$(PYTHON) -m http.server 8000 --bind 127.0.0.1 --directory _build/html

test: book ## run every test, every chapter against its stored outputs, and every page in a browser
	@$(BIN)/python -m pytest tests chapters --nbval --nbval-current-env --nbval-cell-timeout=300 -n 2 --dist loadfile

lint: setup ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

tangle: setup ## write the package from the chapters
	@$(BIN)/python tools/tangle.py

edit: setup ## edit a chapter as text and bring everything up to date: make edit CHAPTER=adam
	@test -n "$(CHAPTER)" || { echo "Which chapter? Write make edit CHAPTER=adam." >&2; exit 1; }
	@$(BIN)/python tools/notebooks.py edit "$(CHAPTER)"

chapters: tangle ## run the chapters whose code changed, twice, and store their outputs
	@$(BIN)/python tools/notebooks.py run

colab: setup ## write the chapters as plain notebooks for Colab
	@$(BIN)/python tools/colab.py

bench: ## time a step beside other libraries, and the import beside NumPy's
	@$(PYTHON) tools/bootstrap.py --extra bench
	@$(BIN)/python benchmarks/step.py
	@$(BIN)/python benchmarks/import_time.py

clean: ## remove what was built; .venv and _edit stay
	@rm -rf _build dist .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
