# Every target sets up by itself: tools/bootstrap installs what is missing, and is quick when nothing is.
# Variables: JOBS (parallel jobs), TESTS (more arguments for ctest), TARGETS (what asan and tsan build),
# FUZZ_SECONDS (for each fuzz target), PREFIX (of install), BASE (lint: the commit to compare with).
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
TESTS ?=
TARGETS ?= all
FUZZ_SECONDS ?= 20
PREFIX ?= /usr/local
DEMO := build/demo/kjv-tiny-4bit
PIPPIN := build/release/pippin
# Another clone of the same sources finds what this one compiled.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
CTEST = ctest --output-on-failure --no-tests=error -j $(JOBS)

.PHONY: help build demo test bench asan tsan fuzz lint format clean install bootstrap
.DEFAULT_GOAL := help

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

bootstrap:
	@tools/bootstrap

build: bootstrap ## the release command line tool, at build/release/pippin
	cmake --preset release
	cmake --build --preset release -j $(JOBS) --target pippin

demo: build ## convert the bundled example to 4 bits, verify the result, let it write
	$(PIPPIN) convert examples/kjv-tiny $(DEMO) -q --overwrite
	$(PIPPIN) verify examples/kjv-tiny $(DEMO) --prompt 'In the beginning God created the heaven and the earth.'
	$(PIPPIN) generate $(DEMO) --ignore-chat-template --prompt 'In the beginning God' --max-tokens 60

test: bootstrap ## build everything and run all tests, the slow ones included (TESTS="-LE slow" leaves them out)
	cmake --preset release
	cmake --build --preset release -j $(JOBS)
	$(CTEST) --test-dir build/release $(TESTS)

bench: bootstrap ## build the benchmarks and print their table
	cmake --preset bench
	cmake --build --preset bench -j $(JOBS)
	bench/run

asan: bootstrap ## the tests, without the slow ones, under AddressSanitizer and UndefinedBehaviorSanitizer
	cmake --preset asan
	cmake --build --preset asan -j $(JOBS) --target $(TARGETS)
	UBSAN_OPTIONS=print_stacktrace=1 $(CTEST) --test-dir build/asan -LE 'slow|structure' $(TESTS)

tsan: bootstrap ## the tests, without the slow ones, under ThreadSanitizer
	cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS) --target $(TARGETS)
	TSAN_OPTIONS=halt_on_error=1 $(CTEST) --test-dir build/tsan -LE 'slow|structure' $(TESTS)

fuzz: bootstrap ## each fuzz target for FUZZ_SECONDS
	cmake --preset fuzz
	cmake --build --preset fuzz -j $(JOBS)
	tools/fuzz build/fuzz $(FUZZ_SECONDS)

lint: bootstrap ## clang-format on all files, clang-tidy on changed ones
	cmake --preset release >/dev/null
	BASE=$(BASE) JOBS=$(JOBS) tools/lint

format: bootstrap ## format all C++ files in place
	tools/lint --fix

install: build ## install the command line tool under PREFIX
	cmake --install build/release --prefix $(PREFIX)

clean: ## remove all build folders
	rm -rf build
