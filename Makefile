# The verbs of the project; `make help` lists them. Each is one command.
SHELL := /bin/sh
PORT ?= 6379
DATA ?= data
METRICS_PORT ?= 9121
ARGS ?=
# The binary that the black-box tests run; `make bench` takes the release build unless told otherwise.
unit blackbox oracle: export RIALTO_BIN ?= $(CURDIR)/target/debug/rialto

.PHONY: help
help: ## List the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.PHONY: build
build: ## Build the server as it is meant to run
	cargo build --release --locked -p server --bin rialto

.PHONY: run
run: build ## Build and run a persistent server on port 6379 with metrics on 9121
	@mkdir -p $(DATA)
	@echo "Rialto listens on 127.0.0.1:$(PORT): redis-cli -p $(PORT) ping"
	@echo "Metrics: http://127.0.0.1:$(METRICS_PORT)/metrics   Data: $(DATA)/   Stop: Ctrl-C"
	target/release/rialto serve --port $(PORT) --dir $(DATA) --appendonly yes --metrics-port $(METRICS_PORT) $(ARGS)

.PHONY: test
test: deps check unit blackbox ## Install what the tests need, then run them all

.PHONY: deps
deps: ## Install what the tests need: redis-server, redis-cli and Python venv
	@tests/setup.sh

.PHONY: check
check: ## Format, lints, layering
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: unit
unit: ## Unit tests, examples, facts, layering
	cargo test --workspace --locked --exclude blackbox

.PHONY: blackbox
blackbox: ## Tests over TCP: dialogues, oracle, crash, hostile clients, redis-py and redis-cli
	cargo build --locked -p server --bin rialto
	cargo test --locked -p blackbox -- --test-threads 2

.PHONY: oracle
oracle: ## Compare replies with a real Redis, byte for byte (ORACLE_SEED, ORACLE_COMMANDS)
	cargo build --locked -p server --bin rialto
	cargo test --locked -p blackbox --test oracle -- --nocapture

.PHONY: bench
bench: build ## Server CPU per operation against redis-server, in one run (ARGS="--quick")
	cargo run --release --locked -q -p bench --bin bench -- $(ARGS)

.PHONY: bench-types
bench-types: build ## Server CPU per operation of every data type, and time against size (ARGS="--quick")
	cargo run --release --locked -q -p bench --bin types -- $(ARGS)

.PHONY: bench-atomic
bench-atomic: build ## Server CPU of transactions, scripts and commands of many keys (ARGS="--quick")
	cargo run --release --locked -q -p bench --bin atomic -- $(ARGS)

.PHONY: bench-idle
bench-idle: build ## Memory of idle connections against redis-server
	cargo run --release --locked -q -p bench --bin idle -- $(ARGS)

.PHONY: bench-memory
bench-memory: build ## Resident bytes per key and element, and under churn, against redis-server (ARGS="--quick")
	cargo run --release --locked -q -p bench --bin memory -- $(ARGS)

.PHONY: bench-hits
bench-hits: build ## Hit ratios of a cache under Zipf traces, against redis-server
	cargo run --release --locked -q -p bench --bin hits -- $(ARGS)

.PHONY: feed
feed: ## Run the market-data feed against a server (ARGS="--url redis://127.0.0.1:6379/0 --duration 10s")
	cargo run --release --locked -q -p bench --bin feed -- $(ARGS)

.PHONY: soak-atomic
soak-atomic: ## Check recorded histories for strict serializability, 10 minutes per number of shards
	cargo build --locked -p server --bin rialto
	ATOMIC_SECONDS=$${ATOMIC_SECONDS:-600} cargo test --locked -p blackbox --test serializable -- --nocapture --test-threads 1

.PHONY: feed-crash
feed-crash: build ## Run the feed, kill -9 the server in the middle, restart it, check
	cargo run --release --locked -q -p bench --bin feed -- --crash-test --server-bin target/release/rialto --shards 2 $(ARGS)

.PHONY: docs
docs: ## Refresh the generated pages
	UPDATE_DOCS=1 cargo test --locked -p ops -p server docs
