# Everything that is done with this repository, in one word each. `make` alone lists it.

SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin
# The tests wait for servers more than they work: on two cores, three at a time take half of the time that two do.
export RUST_TEST_THREADS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests setup-lint demo test soak bench-capture bench-commands bench-cards bench-read lint compose-check clean

help: ## List what can be made
	@awk -F ': *.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the build and the demo need (apt-get or brew); quick when nothing is missing
	@scripts/setup.sh build

setup-tests: ## The same and what the tests need: Java, Apache Kafka's jars, PostgreSQL 18
	@scripts/setup.sh tests

setup-lint:
	@scripts/setup.sh lint

demo_flags = $(if $(filter-out 0 no false,$(ONCE)),--once) $(if $(REPLAY),--replay '$(REPLAY)') \
	$(if $(KAFKA),--kafka '$(KAFKA)') $(if $(DATABASE),--database '$(DATABASE)')

demo: setup ## The whole pipeline and one story through it; ONCE=1, REPLAY=bookings.csv[.gz], KAFKA=host:port, DATABASE=url
	cargo run -p demo --locked -- $(demo_flags)

test: setup-tests ## All tests, on a PostgreSQL and an Apache Kafka that are started for them
	cargo build --workspace --bins --locked
	cargo run -q -p servers --locked -- run -- cargo test --workspace --locked

soak: setup-tests ## The crash tests at length: every process, and the views' database, is killed DEATHS=30 times under load, the relay alone 100 times; cards fail for a minute
	cargo build --workspace --bins --locked
	SOAK=$(or $(DEATHS),30) cargo run -q -p servers --locked -- run -- cargo test --workspace --locked --test end_to_end -- crash payments
	SOAK=$(or $(DEATHS),30) cargo run -q -p servers --locked -- run -- cargo test --workspace --locked --test it -- \
		instances:: database_crash::
	SOAK=$(or $(DEATHS),100) cargo run -q -p servers --locked -- run -- cargo test --locked -p cdc-capture --test capture \
		soak:: -- --nocapture

bench-capture: setup-tests ## Measure the relay; RUNS=3, QUICK=1 (a smoke test), ONLY=drain-batched,latency, PEER=debezium
	cargo build --release --locked -p cdc-capture -p bench
	target/release/bench capture

bench-cards: setup-tests ## Measure the two ways by which Payments comes by a card; RUNS=3, QUICK=1 (a smoke test)
	cargo build --release --locked -p write-service -p cdc-capture -p card-processor -p bench
	target/release/bench cards

bench-read: setup-tests ## Measure the read service and whole chains; RUNS=3, QUICK=1 (a smoke test), ONLY=queries,apply
	cargo build --release --locked -p read-service -p write-service -p cdc-capture -p bench
	target/release/bench read

bench-commands: setup-tests ## Measure the write service beside pgbench; RUNS=3, QUICK=1 (a smoke test), ONLY=make-booking,get-not-modified
	cargo build --release --locked -p write-service -p bench
	target/release/bench commands

lint: setup-lint ## rustfmt, and clippy with warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

compose-check: ## Check docker-compose.yml, with whichever Compose is installed
	@if docker compose version >/dev/null 2>&1; then docker compose config -q; \
	elif command -v docker-compose >/dev/null; then docker-compose config -q; \
	else echo 'Docker Compose is not installed'; exit 1; fi

clean: ## Remove everything that was built, and the servers that were fetched
	cargo clean
