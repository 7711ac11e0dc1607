# Every task of this repository. `make` alone lists them; .ci/run runs `make test`.
SHELL := /bin/bash
BIN := node_modules/.bin
NODE := $(BIN)/node
LOCAL := $(NODE) packages/local/src/main.ts
FAST := '{packages,services}/*/src/**/*.test.ts' 'test/tidy/*.test.ts' test/chaos-api/documents.test.ts test/chaos-cluster/*.test.ts test/oracle/*.test.ts test/soak/*.test.ts test/endurance/*.test.ts
REAL := '{packages,services}/*/test/**/*.test.ts' 'test/e2e/*.test.ts' 'test/simulation/*.test.ts'
# Each takes the machine for a whole system of its own: beside the others they would take the time that these promise to keep.
WHOLE := test/chaos/*.test.ts
ARGS ?=
export PATH := $(CURDIR)/$(BIN):$(PATH)
export NODE_COMPILE_CACHE := $(CURDIR)/.cache/node-compile

.DEFAULT_GOAL := help
.PHONY: help install start reset doctor up dev chart chaos chaos-cluster chaos-api e2e status down demo crash outage oracle soak endurance rolling start-order simulate check lint types fast test gen fmt verify bench bench-mesh bench-overload bench-simulation clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules: package.json package-lock.json
	npm ci --no-fund --no-audit && touch $@
install: node_modules ## Install exactly what package-lock.json says

start: node_modules ## Start the whole system on this machine; Ctrl-C stops it, data stays in .cache/
	@$(LOCAL) start $(ARGS)
reset: node_modules ## Drop the data that `make start` kept
	@$(LOCAL) reset
doctor: node_modules ## Say where etcd, Kafka and PostgreSQL would come from and what is missing
	@$(LOCAL) doctor

up: node_modules ## The system on a kind cluster, and an order that proves it: ARGS="--kafka embedded --profile ha"
	@$(NODE) packages/cluster/src/main.ts up $(ARGS)
dev: node_modules ## The same for development: a changed line is live in seconds; Ctrl-C ends it
	@$(NODE) packages/cluster/src/main.ts dev $(ARGS)
chart: node_modules ## The tests of the chart; they need helm, and promtool for the alerts
	$(NODE) --test test/chart/*.test.ts
chaos: node_modules ## The experiments on processes of this machine, judged: ARGS="kill-payment.yaml --output json"
	@cd k8s/chaos && $(CURDIR)/$(NODE) $(CURDIR)/packages/meshctl/src/main.ts chaos run --junit $(CURDIR)/.cache/chaos/junit.xml --report $(CURDIR)/.cache/chaos $(or $(ARGS),.)
oracle: node_modules ## Planted bugs, each found by an experiment, and clean runs: ARGS="--bugs none --clean 50"
	@$(NODE) test/oracle/main.ts $(ARGS)
soak: node_modules ## Random faults for half an hour under load, judged: ARGS="--minutes 30 --seed 1"
	@$(NODE) test/soak/main.ts $(ARGS)
endurance: node_modules ## Orders on the cluster for half an hour, and what each container took: ARGS="--minutes 30 --rate 20"
	@$(NODE) test/endurance/main.ts $(ARGS)
chaos-cluster: node_modules ## The experiments on the cluster, judged: ARGS="--shard 1/2", or files
	@$(NODE) test/chaos-cluster/main.ts $(ARGS)
chaos-api: node_modules ## What a real API server makes of experiments: CHAOS_API_CONTEXT=kind-ordermesh
	$(NODE) --test test/chaos-api/*.test.ts
e2e: chart up ## The tests of the system on the cluster, under load
	$(NODE) --test --test-concurrency=1 test/cluster/*.test.ts
status: node_modules ## What runs on the cluster
	@$(NODE) packages/cluster/src/main.ts status
down: node_modules ## Delete the cluster and its data
	@$(NODE) packages/cluster/src/main.ts down

demo: node_modules ## Orders under kills, judged: ARGS="--seed 7 --join"
	@$(NODE) test/demo/main.ts $(ARGS)
crash: node_modules ## Every crash point x {kill, error, sleep}, judged
	@$(NODE) test/crash/main.ts $(ARGS)
outage: node_modules ## Kill a part under load: ARGS="--part etcd --seconds 120"
	@$(NODE) test/outage/main.ts $(ARGS)
rolling: node_modules ## Restart every service in turn under load; no call may fail
	@$(NODE) test/rolling/main.ts $(ARGS)
simulate: node_modules ## Thousands of interleavings of the system in memory: ARGS="--seconds 60 --seed 1"
	@$(NODE) test/simulation/main.ts $(ARGS)
start-order: node_modules ## Start everything in 10 random orders
	@$(NODE) test/start-order/main.ts $(ARGS)

check: lint types fast ## Lint, types and fast tests (seconds)
lint: node_modules
	biome ci . && buf lint && buf format --diff --exit-code
types: node_modules
	tsc --project .
fast: node_modules ## Tests without sockets
	$(NODE) --test --test-isolation=none $(FAST)
test: check ## All tests, with real etcd, Kafka and PostgreSQL
	$(LOCAL) with-parts -- $(NODE) --test --test-concurrency=4 $(REAL)
	$(NODE) --test --test-concurrency=1 $(WHOLE)

gen: node_modules ## Regenerate proto/gen and the generated docs
	buf generate && buf build --as-file-descriptor-set -o proto/gen/descriptors.binpb
	$(NODE) test/tidy/main.ts
fmt: node_modules ## Format and apply the safe fixes
	biome check --write . && buf format
verify: gen ## Fail when generated files are stale
	git diff --exit-code -- proto/gen docs helm/ordermesh/README.md
bench: node_modules ## Measure orders per second and the cost of an order
	@$(NODE) bench/main.ts $(ARGS)
bench-mesh: node_modules ## The mesh against bare grpc-js, as ratios
	@$(NODE) bench/mesh/main.ts $(ARGS)
bench-overload: node_modules ## What a server answers in time when asked for more than it can do
	@$(NODE) bench/overload/main.ts $(ARGS)
bench-simulation: node_modules ## Hundreds of simulated servers, and the registry at 10,000 instances
	@$(NODE) bench/simulation/main.ts $(ARGS)
clean: ## Remove everything git does not track
	git clean -Xdf
