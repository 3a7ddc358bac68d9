# make report   install what is needed and do the main job: measure, then report   -> output/report/report.html
# make test     install what is needed, then lint, types and tests
# make test-clients   run the snippets of docs/guides/in-other-tools.md with the real clients, each in an environment of its own;
#                     then the doctor's tests of Chroma and LanceDB
# make docs     build the documentation                                           -> build/docs/index.html
# make clean    remove what these made

PYTHON ?= python3
BIN := .venv/bin
MODELS := -m smollm2-135m -m smollm2-135m-teacher -m smollm2-135m-untrained -m smollm2-135m-mean -m minilm

.PHONY: report test test-clients docs install lint types clean

report: install
	$(BIN)/genzoo evaluate $(MODELS) -b "GenZoo(mini, v1)" -o output/results
	$(BIN)/genzoo leaderboard output/results -o output/report
	$(BIN)/genzoo report output/results --studies reports/measured -o output/report

test: install lint types
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-clients: install build/clients/tools/bin/uv build/clients/stores/installed
	$(BIN)/python benchmarks/clients.py
	build/clients/stores/bin/python -m pytest tests/tasks/doctor -k "stores or chroma or lancedb"

build/clients/stores/installed: pyproject.toml constraints.txt build/clients/tools/bin/uv
	build/clients/tools/bin/uv venv --quiet --clear --python 3.11 build/clients/stores
	build/clients/tools/bin/uv pip install --quiet --python build/clients/stores/bin/python --constraint constraints.txt --editable '.[dev,stores]'
	touch $@

build/clients/tools/bin/uv:
	$(PYTHON) -m venv build/clients/tools
	build/clients/tools/bin/python -m pip install --quiet --disable-pip-version-check uv

docs: install
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs

install: .venv/installed

.venv/installed: pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genzoo needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	@echo "installing genzoo and what it needs into .venv (once; a few minutes)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The import package is put together from four folders, which a type checker only sees as one tree.
types: install
	@rm -rf build/types && mkdir -p build/types/genzoo
	@ln -s $(CURDIR)/zoo/* $(CURDIR)/tasks $(CURDIR)/leaderboards $(CURDIR)/reports build/types/genzoo/
	MYPYPATH=build/types $(BIN)/mypy -p genzoo

clean:
	rm -rf .venv build output *.egg-info
