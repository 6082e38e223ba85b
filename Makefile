# What there is to do here. make help lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOLS   := $(CURDIR)/var/tools
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.9.0
FUZZTIME ?= 30s

.PHONY: help build run test lint generate generate-breached generated-check bench bench-smoke fuzz vuln clean

help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/usher
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/usher ./cmd/usher

run: build ## Build and run with a demo tenant on SQLite (var/dev); it prints what to try
	@mkdir -p var/dev
	bin/usher serve --dev --database-url sqlite:var/dev/usher.db

test: ## Run every test with the race detector, on SQLite, PostgreSQL and Redis
	@services=$$(scripts/services.sh) && eval "$$services" && go test -race -timeout 20m ./...

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION) ## Check formatting, and run vet, staticcheck and gosec
	$< run ./...

$(TOOLS)/golangci-lint-%:
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$*
	@mv $(TOOLS)/golangci-lint $@

generate: ## Make what is generated anew: GraphQL, the configuration's schema, the table of settings
	go generate ./graph ./cmd/usher

generate-breached: ## Build the list of common passwords anew, from npm packages
	go generate ./tenant/breached

generated-check: generate ## Fail when what is generated isn't what is committed
	@changed=$$(git status --porcelain -- docs graph) && if [ -n "$$changed" ]; then \
		echo "run make generate and commit:"; echo "$$changed"; exit 1; fi

bench: ## Measure against the gates of docs/performance.md (about 25 minutes)
	@services=$$(scripts/services.sh) && eval "$$services" && go run ./bench

bench-smoke: ## Run every scenario of it once, and every Go benchmark
	@services=$$(scripts/services.sh) && eval "$$services" && go run ./bench -smoke && go test -run '^$$' -bench . -benchtime 1x ./...

fuzz: ## Fuzz each target for FUZZTIME (30s)
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

vuln: ## Check the dependencies for known vulnerabilities
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

clean: ## Remove what was built, and the demo's data
	rm -rf bin var/dev
