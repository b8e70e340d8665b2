# Everything a user or a developer runs. `make demo` and `make test` are the two commands of the README.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 60s
# Packages in which goroutines share state: the race detector pays there. Of rdb, whose tests take minutes under it, that is what divides files.
RACE := ./internal/job/... ./internal/metastore/... ./internal/snapstore/... ./internal/capture/... ./internal/engine/... ./internal/kms/... \
	./internal/blob/... ./internal/keyrestore/... ./rdb/keyspace/... ./internal/api/gateway/... ./internal/control/... ./internal/worker/... ./internal/app/... \
	./internal/keydiff ./internal/cli ./internal/dataset ./internal/api/s3
RACE_RDB := Split|Merge|Rewrit|Crossing

.PHONY: deps test-deps build demo test test-arm64 check lint generate bench fuzz soak clean

deps:
	@scripts/deps.sh

test-deps: deps
	@scripts/test-tools.sh

build:
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/keyframe ./cmd/keyframe

demo: deps build
	@bin/keyframe demo

test: test-deps build
	go test -timeout 15m ./...

test-arm64:
	@scripts/test-arm64.sh

check: lint test
	go test -race -timeout 20m $(RACE)
	go test -race -timeout 20m -run '$(RACE_RDB)' ./rdb

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt: the files above are not formatted'; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code -- internal/api docs/api-coverage.md || { echo 'generate: the committed files are stale'; exit 1; }

generate:
	go generate ./...

bench: deps build
	@go run ./cmd/keyframe-bench -keyframe bin/keyframe

fuzz:
	@scripts/fuzz.sh $(FUZZTIME)

soak: test-deps build
	KEYFRAME_SOAK=1 go test -count=1 -timeout 90m -parallel 6 -v -run 'TestCrash' ./e2e

clean:
	rm -rf bin .cache
