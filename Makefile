# Meridian. `make demo` shows two regions replicating; `make test` runs every test. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MERIDIAN := .build/release/meridian
TOPOLOGY ?= topologies/two-region.yaml
SECONDS_TO_FUZZ ?= 60
SEEDS ?= 10000
MINUTES ?= 10
DIRECTORY ?= .
SIZE ?= 131072
COUNT ?= 600

.PHONY: help setup build demo test test-unit test-interop test-compose fuzz simulate faults bench-io-uring format lint protos clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: ## Install the system packages that are missing (Debian, Ubuntu)
	@scripts/setup.sh

build: setup ## Build the release binary
	swift build -c release --product meridian

demo: build ## Start two regions with a producer and a consumer in each, and show the live lag
	$(MERIDIAN) mesh up $(TOPOLOGY) --demo

test: setup ## Set up and run every test
	@scripts/test.sh

test-unit: setup ## Run the Swift tests alone
	swift test

test-interop: setup ## Run the tests with the real pulsar-client alone
	@scripts/test.sh --interop-only

test-compose: ## Bring up two regions with Docker Compose and verify replication with pulsar-client
	@scripts/test-compose.sh

fuzz: setup ## Fuzz the decoders for SECONDS_TO_FUZZ seconds
	MERIDIAN_FUZZ_SECONDS=$(SECONDS_TO_FUZZ) swift test --filter Fuzz

simulate: setup ## Simulate SEEDS bookies and SEEDS regions under faults, from the seed MERIDIAN_SEED on
	MERIDIAN_SEEDS=$(SEEDS) swift test --filter 'SimulationTests.*/(storage|region)'

faults: setup ## Kill, stop, fill and damage bookie processes under load for MINUTES minutes (MERIDIAN_SEED repeats a choice)
	MERIDIAN_FAULT_SECONDS=$$((60 * $(MINUTES))) MERIDIAN_FAULT_VERBOSE=1 swift test --filter RealFaultTests

bench-io-uring: ## Measure COUNT synced writes of SIZE bytes in DIRECTORY, io_uring's among them (needs liburing-dev and a C compiler)
	@mkdir -p .build && $(CC) -O2 -Wall -Wextra -o .build/io-uring Benchmarks/io_uring.c -luring && .build/io-uring $(DIRECTORY) $(SIZE) $(COUNT)

format: ## Format the Swift sources in place
	swift format --in-place --parallel --recursive Package.swift Sources Tests

lint: ## Check the format of the Swift sources
	swift format lint --strict --parallel --recursive Package.swift Sources Tests

protos: ## Generate Swift from the .proto files (needs protoc and protoc-gen-swift)
	@scripts/protos.sh

clean: ## Remove what was built
	rm -rf .build
