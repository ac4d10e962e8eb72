python := .venv/bin/python

.PHONY: shell test unit integration lint lock setup bench

shell: ## set everything up and open the shell on this folder
	@scripts/setup --link
	@.venv/bin/llmasos

test: ## set everything up and run every check
	@scripts/setup --test
	@$(MAKE) --no-print-directory lint
	scripts/with-docker $(python) -m pytest

unit: ## the fast tests
	@scripts/setup
	$(python) -m pytest --ignore tests/integration

integration: ## the tests with real components
	@scripts/setup --test
	scripts/with-docker $(python) -m pytest tests/integration

lint:
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

bench: ## measure, and write docs/benchmarks.md
	@scripts/setup --test
	$(python) -m benchmarks

lock: ## resolve the dependencies anew; torch is left to pip, which knows builds without CUDA
	echo 'torch; python_version < "3"' >.torch && uv pip compile pyproject.toml --extra embedded \
		--extra transformers --extra cluster --extra dev --overrides .torch --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --quiet -o requirements.lock; rm .torch
	cd llmasos/sandbox/image && uv pip compile sandbox.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --only-binary :all: --quiet -o sandbox.lock
