python := .venv/bin/python
# A file's tests stay together, since they share what is slow to make.
# In the order of the folders: a file with one long test must not be the last one.
# A process that died is not replaced: pytest-xdist then waits for ever for what that one had run already.
parallel := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# These play whole sessions, load models, start processes, or need real components.
long := tests/integration tests/attacks tests/cluster tests/federated tests/models/engines tests/sandbox/faults

.PHONY: shell test unit integration with-components lint lock setup bench docs reference recording

shell: ## set everything up and open the shell on this folder
	@scripts/setup --link
	@.venv/bin/llmasos

test: ## set everything up and run every check
	@scripts/setup --test
	@$(MAKE) --no-print-directory lint
	$(python) -m pytest $(parallel) $(addprefix --ignore ,$(long))
	scripts/with-docker $(MAKE) --no-print-directory with-components

unit: ## the fast tests
	@scripts/setup --test
	$(python) -m pytest $(parallel) $(addprefix --ignore ,$(long))

integration: ## the tests with real components
	@scripts/setup --test
	scripts/with-docker $(MAKE) --no-print-directory with-components

# The image comes first: tests that run side by side must not build it each.
with-components:
	.venv/bin/llmasos sandbox build
	$(python) -m pytest $(parallel) $(long)

lint:
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

docs: reference ## build the documentation's pages into site/
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --strict

reference: ## write the pages of docs/reference that are made from the code
	@scripts/setup --test
	$(python) -m scripts.reference

recording: ## play the session that README shows again, with the embedded model
	@scripts/setup --test
	$(python) -m scripts.recording

bench: ## measure, and write docs/benchmarks.md
	@scripts/setup --test
	$(python) -m benchmarks

lock: ## resolve the dependencies anew; torch is left to pip, which knows builds without CUDA
	echo 'torch; python_version < "3"' >.torch && uv pip compile pyproject.toml --extra embedded \
		--extra transformers --extra cluster --extra federated --extra knowledge --extra dev --extra docs \
		--overrides .torch --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--quiet -o requirements.lock; rm .torch
	cd llmasos/sandbox/image && uv pip compile sandbox.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --only-binary :all: --quiet -o sandbox.lock
