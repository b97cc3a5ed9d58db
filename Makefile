# Two commands matter, `make run` and `make test`; neither assumes that anything is installed.
# Pass flags with ARGS: make run ARGS='-i eth0 -o json'
# FEATURES says what to build beside the agent, sql and study without it: make run FEATURES=core builds the agent alone.

target := $(or $(CARGO_TARGET_DIR),target)
export WEIR_BIN := $(abspath $(target))/release/weir

cargo := scripts/as user cargo
as_root := scripts/as root
features := $(if $(FEATURES),--no-default-features --features '$(FEATURES)')

.PHONY: help run demo study test bench check build lint generate clean setup setup-demo setup-test
.SILENT:
.NOTPARALLEL:

help: ## this list
	sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

run: build ## count every packet on all interfaces, until Ctrl-C
	$(as_root) $(WEIR_BIN) run $(ARGS)

demo: build setup-demo ## a small network with real traffic, and what weir sees of it
	$(as_root) $(WEIR_BIN) demo $(ARGS)

study: build ## which data structure should watch the network: measured here, with a report
	$(as_root) $(WEIR_BIN) study $(ARGS)

test: setup-test ## every test, with real packets in network namespaces
	scripts/test $(ARGS)

bench: setup-test ## what it costs: programs, throughput, drain, memory
	$(cargo) build --release -p weir -p weir-study
	$(as_root) $(dir $(WEIR_BIN))weir-bench $(ARGS)

check: build ## what this kernel and these privileges allow
	$(as_root) $(WEIR_BIN) check $(ARGS)

build: setup ## the release binary
	$(cargo) build --release -p weir $(features)

lint: setup-test ## formats, clippy, shellcheck, the minimum Rust version
	scripts/lint

generate: setup ## write the generated files anew; `make test` finds them out of date
	WEIR_BLESS=1 $(cargo) test --release -p weir-kernel -p weir-record -p weir-ipfix -p weir --test twins --test fields --test elements --test configuration
	WEIR_BLESS=1 $(cargo) test --release -p weir-study -p weir-export --lib schema
	WEIR_BLESS=1 $(cargo) test --release -p weir --bin weir description

clean: ## remove what was built
	$(cargo) clean

setup: ## install what is missing to build
	scripts/setup

setup-demo:
	scripts/setup demo

setup-test:
	scripts/setup test
