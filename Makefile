# Short names for the usual work; CMakePresets.json has the build configurations themselves.
#
#   make                  installs what is missing, builds the command into build/
#   make demo             the first tour: an XOR net from PyTorch is run, trained, written back
#   make examples         builds and runs everything in examples/, and checks what it prints
#   make test             builds and runs every test that needs no Python
#   make test-interop     against PyTorch, ONNX Runtime and Keras, in a virtual environment
#   make test-sanitizers  the tests under ASan+UBSan and under TSan
#   make coverage         the lines that the tests execute, in runtime, importer, exporter and api
#   make fuzz             libFuzzer targets by clang, FUZZ_SECONDS each (docs/fuzzing.md)
#   make bench            benchmarks, beside the peers that are installed (benchmarks/README.md)
#   make bench-products   products of matrices beside OpenBLAS's, AVX-512 and AVX2 (docs/decisions/0003)
#   make bench-peers      two virtual environments with all peers, which make bench finds
#   make format           formats every C++ file in place
#   make lint             checks the format, runs clang-tidy, reads each layer as one unit
#   make clean            removes everything that was built

SHELL := /bin/bash
JOBS ?= $(shell nproc)
PYTHON ?= python3
# A virtual environment of yours that has tests/interop/requirements.txt saves the download.
ONNXRUN_VENV ?= build/venv
# What make bench-peers makes; ORT-training brings a module of ONNX Runtime's name, so it is alone.
ONNXRUN_BENCH_VENV ?= build/bench-venv
ONNXRUN_ORT_TRAINING_VENV ?= build/ort-training-venv
# Parts of names: which interop tests run; all if empty.
INTEROP ?=
# How long each fuzz target runs.
FUZZ_SECONDS ?= 600
CPP_FILES = git ls-files '*.cpp' '*.h'

.PHONY: all deps build demo examples test test-interop test-sanitizers sanitize-% coverage fuzz bench bench-products bench-peers format check-format \
        lint clean

all: build

deps:
	@scripts/install-deps.sh

build: deps
	@scripts/build.sh release onnxrun

demo: deps
	@scripts/build.sh release onnxrun
	@scripts/demo.sh

examples: deps
	@scripts/build.sh release onnxrun examples
	@set -e; for page in examples/*/README.md; do scripts/run-readme.sh build $$page; done

test: deps
	@scripts/build.sh release
	@scripts/slowest-files.sh build
	ctest --preset release -j $(JOBS)

test-interop:
	@scripts/install-deps.sh interop
	@scripts/build.sh release
	@PYTHON=$(PYTHON) scripts/make-venv.sh $(ONNXRUN_VENV) tests/interop/requirements.txt
	$(ONNXRUN_VENV)/bin/python tests/interop/run.py build/onnxrun $(INTEROP)

test-sanitizers: sanitize-asan-ubsan sanitize-tsan

sanitize-%: deps
	@scripts/build.sh $*
	ctest --preset $* -j $(JOBS)

coverage: deps
	@find build-coverage -name '*.gcda' -delete 2>/dev/null || true
	@scripts/build.sh coverage
	ctest --preset coverage -j $(JOBS)
	@$(PYTHON) scripts/coverage.py build-coverage --least 92

fuzz:
	@scripts/install-deps.sh fuzz
	@scripts/build.sh fuzz fuzz_model fuzz_readers fuzz_checkpoint fuzz_step fuzz_config
	@scripts/build.sh release onnxrun
	@fuzz/run.sh build-fuzz build/onnxrun $(FUZZ_SECONDS)

bench: deps
	@scripts/build.sh bench
	@$(if $(AVX2),scripts/build.sh bench-avx2 onnxrun)
	@AVX2=$(if $(AVX2),build-bench-avx2/onnxrun) ORT_TRAINING_PYTHON=$(ONNXRUN_ORT_TRAINING_VENV)/bin/python \
	  scripts/bench.sh build-bench $(ONNXRUN_BENCH_VENV) $(ONNXRUN_VENV)

bench-products: deps
	@scripts/build.sh bench onnxrun onnxrun_products
	@scripts/build.sh bench-avx2 onnxrun onnxrun_products
	@$(PYTHON) benchmarks/products.py build-bench build-bench-avx2 \
	  $(if $(UPDATE),--update docs/decisions/0003-matrix-products-of-our-own.md)

bench-peers:
	@PYTHON=$(PYTHON) scripts/make-venv.sh $(ONNXRUN_BENCH_VENV) benchmarks/requirements.txt
	@PYTHON=$(PYTHON) scripts/make-venv.sh $(ONNXRUN_ORT_TRAINING_VENV) benchmarks/requirements-ort-training.txt

format:
	@scripts/install-deps.sh lint
	$(CPP_FILES) | xargs -r clang-format -i

check-format:
	@scripts/install-deps.sh lint
	$(CPP_FILES) | xargs -r clang-format --dry-run -Werror

lint: check-format
	@scripts/build.sh one-unit --configure-only
	@scripts/one-unit.sh build-one-unit
	@scripts/build.sh lint --configure-only
	@scripts/lint.sh build-lint

clean:
	rm -rf build build-* demo-out
