# Needs Go, git and make; everything else comes through the Go module proxy.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

APPS     := $(notdir $(wildcard examples/apps/*))
SAMPLE   := examples/conversations/budget-meeting
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: run serve build host apps test lint clean

# The whole idea on a real recording: host, four apps, one of them misbehaving.
run: build
	build/auricle demo -config config.hcl $(SAMPLE)

serve: build
	build/auricle serve -config config.hcl

build: host apps

host:
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.release=$(VERSION)" -o build/auricle ./cmd/auricle

# Go rebuilds an app only when its sources changed.
apps: $(APPS:%=build/apps/%.wasm)

build/apps/%.wasm: FORCE
	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -o $@ ./examples/apps/$*
FORCE:

# The apps' tests run their modules under the command that was just built.
test: lint build
	AURICLE=$(CURDIR)/build/auricle go test -race ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

clean:
	rm -rf build
