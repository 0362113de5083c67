# Needs Go, git and make; everything else comes through the Go module proxy.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# The host is one static binary; only the race detector wants cgo.
export CGO_ENABLED := 0

APPS     := $(notdir $(wildcard examples/apps/*))
SAMPLE   := examples/conversations/budget-meeting
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What comes from outside: clients' frames, configuration, modules, guests' requests, audio, recordings.
# Each with how many inputs the gate tries: a number ends cleanly on a busy machine,
# where a time may end in "context deadline exceeded" (go.dev/issue/75804).
FUZZ := \
	host/origins:FuzzCheck:20000 \
	host/api:FuzzLoopbackOnly:2000 host/api:FuzzUserChoice:4000 host/api:FuzzOmiCall:10000 \
	sdk/wire:FuzzDecodeClient:1000 sdk/wire:FuzzDecodeHost:2000 \
	host/config:FuzzLoad:1000 \
	host/apps:FuzzRequest:4000 host/apps:FuzzStorageRequest:10000 host/apps:FuzzManifest:4000 host/apps:FuzzRecording:4000 host/apps:FuzzArguments:4000 \
	sdk/space:FuzzView:15000 \
	host/audio:FuzzBuffer:2000 host/audio:FuzzAppendMono:20000 host/audio:FuzzOpus:2000 host/audio:FuzzResampler:300 \
	host/omi:FuzzDecodeFrame:20000 host/omi:FuzzDecodeMessage:20000 \
	plugins:FuzzLoad:2000 plugins:FuzzEngine:100 \
	plugins/internal/meter:FuzzRewrite:600 plugins/internal/meter:FuzzGenerated:500 \
	sdk/event:FuzzAudio:50000 \
	cmd/auricle/wav:FuzzOpen:5000 \
	host/store/internal/blocks:FuzzBlock:1000 \
	host/auth:FuzzToken:5000 \
	host/integrations:FuzzCall:3000 \
	host/stream/telephone:FuzzTwilio:10000 host/stream/telephone:FuzzTelnyx:10000 host/stream/telephone:FuzzPlivo:10000 host/stream/telephone:FuzzOrder:10000 \
	host/reach:FuzzGrant:50000 \
	host/bridge/app:FuzzAnswer:5000

.PHONY: run serve build host bridge apps test lint fuzz vuln bench-engines kernels clean

# The whole idea on a real recording: host, four apps, one of them misbehaving.
run: build
	build/auricle demo -config config.hcl $(SAMPLE)

serve: build
	build/auricle serve -config config.hcl

build: host apps

# The host's binary holds the webhook bridge. It is written anew only when it is
# another, so that the host is.
BRIDGE := host/bridge/built/webhook.wasm.gz

bridge: build/bridge.wasm
	@gzip -9 -n -c $< > build/bridge.wasm.gz
	@cmp -s build/bridge.wasm.gz $(BRIDGE) || cp build/bridge.wasm.gz $(BRIDGE)

build/bridge.wasm: FORCE
	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -o $@ ./host/bridge/app

host: bridge
	go build -ldflags "-X main.release=$(VERSION)" -o build/auricle ./cmd/auricle

# Go rebuilds an app only when its sources changed.
apps: $(APPS:%=build/apps/%.wasm)

build/apps/%.wasm: FORCE
	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -o $@ ./examples/apps/$*
FORCE:

# The race detector needs a C compiler; without one, the tests run without it.
# It slows compiling modules down tenfold, so what has no concurrency of its own
# runs without it: the rewriter, the command's scripts, measuring, and large modules.
RACE   := $(if $(shell command -v $$(go env CC) 2>/dev/null),-race)
SERIAL := ./plugins/internal/meter ./cmd/auricle ./cmd/auricle/engine/... ./cmd/auricle/durability ./cmd/auricle/streams ./cmd/auricle/webhooks

# The apps' tests run their modules under the command that was just built.
test: export AURICLE := $(CURDIR)/build/auricle
test: lint build fuzz
	$(if $(RACE),,@echo "no C compiler: testing without the race detector")
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) $$(go list ./... | grep -vxF "$$(go list $(SERIAL))")
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) -skip 'TestScripts|TestStreamPlaysToAHost|TestCallsAreHeardByAnApp' ./cmd/auricle
	go test $(SERIAL)
	$(if $(RACE),go test -run 'Hostile|Strangers|Specification' ./plugins)

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

# Longer, each target for a time: make fuzz FUZZTIME=5m
FUZZTIME :=
fuzz:
	@set -e; for target in $(FUZZ); do \
		set -- $$(echo $$target | tr : ' '); \
		go test -run '^$$' -fuzz "^$$2\$$" -fuzztime "$(or $(FUZZTIME),$${3}x)" -fuzzminimizetime 5x "./$$1"; \
	done

# Known vulnerabilities in what the host calls. No part of lint: it needs the
# database at https://vuln.go.dev (docs/security.md).
vuln:
	go run $(GOVULNCHECK) ./...

# The engine beside its rivals (bench/README.md), for example:
# make bench-engines BENCH='-json -runs 25'. wasmtime needs a C compiler.
BENCH :=
bench-engines:
	cd bench && CGO_ENABLED=$(if $(RACE),1,0) go run . $(BENCH)

# Rebuilds the small kernels of "auricle bench engine", which are kept built.
# Needs clang, lld and rustc with its target wasm32-unknown-unknown.
kernels:
	go generate ./cmd/auricle/engine/kernels

clean:
	rm -rf build $(BRIDGE)
