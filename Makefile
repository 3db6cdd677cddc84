# demo: a flock of three real Docker hosts to play with; test: everything, from nothing; lint: what CI asks of the text;
# bench: flockerd beside HAProxy and nginx, a quarter of an hour, into benches/RESULTS.md; bench-quick: two minutes of it, to
# the screen; guard: do the hot paths take more instructions than benches/instructions.toml says; guard-record: writes that.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/flockerd/target
# More tests than cores at a time: most of them wait for a daemon.
export RUST_TEST_THREADS ?= 4
TARGET = wasm32-wasip2

.PHONY: demo test lint bench bench-quick guard guard-record tools clients toolchains

demo: tools
	cargo build --release
	cargo build --profile plugin --target $(TARGET) --package label-placement
	tests/demo.sh

test: tools clients toolchains
	cargo test --workspace; status=$$?; tests/flock.sh wait; exit $$status

lint:
	cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: bench-build
	$$CARGO_TARGET_DIR/release/flocker-bench --output benches/RESULTS.md

bench-quick: bench-build
	$$CARGO_TARGET_DIR/release/flocker-bench --quick

guard: guard-build
	$$CARGO_TARGET_DIR/release/flocker-bench guard

guard-record: guard-build
	$$CARGO_TARGET_DIR/release/flocker-bench guard --record

.PHONY: bench-build guard-build
guard-build:
	benches/install
	rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)
	cargo build --release --package flockerd --package flocker-bench
	mkdir -p $$CARGO_TARGET_DIR/bench
	plugins/route-rust/build $$CARGO_TARGET_DIR/bench

bench-build:
	benches/install
	rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)
	benches/build

# What a fresh Debian machine with cargo and gcc lacks.
tools:
	tests/flock.sh install
	rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)

# Docker's other clients, in the versions that the tests run.
clients:
	tests/clients/install

# The toolchains of plugins/route-*, in the versions that the tests run.
toolchains:
	tests/languages/install
