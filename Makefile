# Two commands carry the project: `make book` and `make test`. Both set up .venv from nothing.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

# Stored outputs are NumPy's, drawn by Jupyter's own figure backend, without progress bars, on every machine.
export ADAM_TUTORIAL_BACKEND := numpy
export TQDM_DISABLE := 1
unexport MPLBACKEND

.DEFAULT_GOAL := help
.PHONY: help setup agree book serve test lint mutants tangle named edit chapters colab kernels url bench bench-gpu clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

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

serve: ## show the book at http://127.0.0.1:8000 (or make serve PORT=8001)
	@test -f _build/html/index.html || { echo "There is no book yet: run make book." >&2; exit 1; }
	@$(PYTHON) -c "import socket; socket.create_server(('127.0.0.1', $(PORT)))" 2>/dev/null \
		|| { echo "Port $(PORT) is taken: try make serve PORT=8001." >&2; exit 1; }
	@$(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: book ## run every test, every chapter against its stored outputs, and every page in a browser
	@$(BIN)/python -m pytest tests chapters --nbval --nbval-current-env --nbval-cell-timeout=300 -n 2 --dist loadfile -rs

lint: setup ## check style, types and workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/zizmor --offline --no-progress --quiet .github

mutants: setup ## plant mistakes in every formula and see a test fail, for each; or make mutants MODULE=adam
	@$(BIN)/python tools/mutants.py $(addprefix --module ,$(MODULE)) $(addprefix --one-in ,$(ONE_IN))

tangle: setup ## write the package from the chapters
	@$(BIN)/python tools/tangle.py

named:
	@test -n "$(CHAPTER)" || { echo "Which chapter? Write make edit CHAPTER=adam." >&2; exit 1; }

edit: named setup ## edit a chapter as text and bring everything up to date: make edit CHAPTER=adam
	@$(BIN)/python tools/notebooks.py edit "$(CHAPTER)"

chapters: tangle ## run the chapters whose code changed, twice, and store their outputs
	@$(BIN)/python tools/notebooks.py run

colab: setup ## write the chapters as plain notebooks for Colab
	@$(BIN)/python tools/colab.py

kernels: tangle ## write the text of every kernel, which the tests compare
	@$(BIN)/python tests/test_kernels.py

url: setup ## move to another repository, everywhere: make url URL=https://github.com/OWNER/NAME
	@$(BIN)/python tools/repository.py set "$(URL)"

bench: ## time a step, many arrays, the first step and the import; make bench RECORD=1 keeps the numbers
	@$(PYTHON) tools/bootstrap.py --extra bench
	@$(BIN)/python benchmarks/step.py $(if $(RECORD),--record)
	@$(BIN)/python benchmarks/many_leaves.py $(if $(RECORD),--record)
	@$(BIN)/python benchmarks/compile_time.py $(if $(RECORD),--record)
	@$(BIN)/python benchmarks/checkpoints.py $(if $(RECORD),--record)
	@$(BIN)/python benchmarks/play.py $(if $(RECORD),--record)
	@$(BIN)/python benchmarks/import_time.py

bench-gpu: setup ## time a step on an NVIDIA GPU and keep the numbers in benchmarks/results
	@$(BIN)/python benchmarks/gpu.py

clean: ## remove what was built; .venv and _edit stay
	@rm -rf _build dist .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
