# The front door. `make run` and `make test` are all that a newcomer needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOFLAGS := -buildvcs=false
export CGO_ENABLED ?= 0
DATA ?= ./data
PKGS ?= ./...

.PHONY: help run build ui test soak unit race lint check bench fuzz tls clean prerequisites
help: ## list what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

run: build ## build and run the platform with its demonstration fleet, data in ./data
	./bin/isobar demo --data $(DATA)

build: ui ## build bin/isobar
	go build -o bin/isobar ./cmd/isobar

ui: user/web/dist/isobar/index.html ## build the web front and put it where it is embedded from

UI_SOURCES := $(shell find ui/src ui/public ui/*.json ui/*.ts -type f 2>/dev/null)
user/web/dist/isobar/index.html: $(UI_SOURCES) ui/node_modules/.installed
	cd ui && npm run build --silent
	rm -rf user/web/dist/isobar user/web/dist/login
	cp -r ui/dist/isobar ui/dist/login user/web/dist/
	touch $@

ui/node_modules/.installed: ui/package-lock.json
	cd ui && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

prerequisites: ## install the Debian packages that the tests need
	tools/prerequisites.sh

test: prerequisites build lint ui-test ## install what the tests need and run all of them
	tools/postgres.sh go test -timeout 15m $(PKGS)

.PHONY: ui-test
ui-test: ui/node_modules/.installed
	cd ui && npm test --silent

race: prerequisites build ## run the Go tests under the race detector
	CGO_ENABLED=1 tools/postgres.sh go test -race -timeout 30m $(PKGS)

# Sizes of the long form; see docs/reliability.md. Several hours; each can be set alone.
soak: prerequisites build ## run the fault tests in their long form
	ISOBAR_SOAK=$${ISOBAR_SOAK:-500} ISOBAR_SOAK_POWER=$${ISOBAR_SOAK_POWER:-300} ISOBAR_SOAK_FSYNC=$${ISOBAR_SOAK_FSYNC:-200} ISOBAR_SOAK_SLOW=$${ISOBAR_SOAK_SLOW:-2000} \
	ISOBAR_SOAK_QOS2=$${ISOBAR_SOAK_QOS2:-300} ISOBAR_SOAK_DAMAGE=$${ISOBAR_SOAK_DAMAGE:-5000} ISOBAR_SOAK_CLONES=$${ISOBAR_SOAK_CLONES:-10000} \
	ISOBAR_SOAK_MESSAGES=$${ISOBAR_SOAK_MESSAGES:-1000000} ISOBAR_SOAK_DEVICES=$${ISOBAR_SOAK_DEVICES:-10000} ISOBAR_SOAK_OVERLOAD=$${ISOBAR_SOAK_OVERLOAD:-600} ISOBAR_STORM=$${ISOBAR_STORM:-10000000} \
	tools/postgres.sh go test -v -count=1 -timeout 24h -run 'KillUnderLoad|PowerCut|FailedSync|SlowSync|ReadOnlyDisk|DiskFull|ExactlyOnce|Damage|Backup|RestartIsQuick|AlarmsPass|Storm' \
	./compat ./app ./engine/series/seriespebble ./engine/mqtt ./engine/mqtt/session/sessionpebble

lint: ui/node_modules/.installed ## check format and common mistakes
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'gofmt is needed:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	cd ui && npm run lint --silent

check: lint ## lint more deeply: staticcheck (takes minutes the first time)
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench: build ## measure this machine, then the platform beside its peers (BENCH='-rounds 1 -load 1s' for a glance)
	tools/prerequisites.sh bench
	./bin/isobar bench
	go build -o bin/bench ./compat/bench
	./bin/bench $(BENCH)

FUZZTIME ?= 1m
fuzz: ## run every fuzz target for FUZZTIME
	tools/fuzz.sh $(FUZZTIME)

.PHONY: tls-report
tls-report: build ## let testssl.sh look at HTTPS and MQTTS, result in docs/security/tls-report.md
	tools/tls-report.sh

clean: ## remove what was built
	rm -rf bin ui/dist user/web/dist/isobar user/web/dist/login
