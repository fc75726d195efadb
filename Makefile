# The targets are the whole interface of CI: .ci/run and the workflow call them and nothing else.

GO     ?= go
PYTHON ?= python3
TOOLS  := $(CURDIR)/.tools
BIN    := $(CURDIR)/bin
DIST   := $(CURDIR)/dist

GOVULNCHECK   := v1.9.0
DVC           := dvc==3.67.1 dvc-s3==3.3.0
MINIO         := v0.0.0-20260212201848-7aac2a2c5b7c
REGISTRY      := v3.1.2
CRANE         := v0.21.7
ORAS          := v1.3.0
CONFTEST      := v0.71.1
TENSORFLOW    := tensorflow-cpu==2.21.0
TRITON        := nvidia-pytriton==0.7.0 numpy==1.26.4
MLSERVER      := mlserver==1.7.1 xgboost-cpu==3.2.0 scikit-learn==1.7.2
BENTOML       := bentoml==1.4.40
KSERVE        := kserve==0.21.0
ONNXRUNTIME   := onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
PANDAS        := pandas==3.1.1
POLARS        := polars==2.1.0
PYARROW       := pyarrow==26.0.1
EVIDENTLY     := evidently==0.7.23 scipy==1.17.1 numpy==2.4.6 pandas==2.3.3
WHYLOGS       := whylogs==1.6.4 numpy==1.26.4 pandas==2.2.3 scipy==1.17.1 ipython==9.18.1 pybars3==0.9.7
S5CMD         := v2.3.0
TOFU          := v1.12.6
TOFU_SUM      := h1:0VT4P8pMmGcCUnQ9JDrJ+Qg2d35Vzm4FFd/9+H7oF98=
MODEL_SIGNING := model-signing==1.1.1 sigstore==4.5.1 pyOpenSSL==26.4.0
CYCLONEDX     := v1.9.0
HELM          := v3.21.0
PROMETHEUS    := v0.316.0
ALERTMANAGER  := v0.35.0
TRAEFIK       := v3.6.12
KSERVE_KINDS  := v0.15.2
GATEWAY_API   := v1.4.0

# What a program says that it is: a tag, or the commit since it; "-dirty" where the work tree differs.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse --verify HEAD 2>/dev/null)

export VISHWA_TOOLS := $(TOOLS)/bin
# A machine without Terraform and OpenTofu gets an OpenTofu of the project's own, at the end of PATH.
ifeq ($(shell command -v terraform || command -v tofu),)
PROVISIONER := $(TOOLS)/bin/tofu
export PATH := $(PATH):$(TOOLS)/bin
endif
# A program under the race detector waits a second before it ends, and the stories run thousands.
# Its shadow of the memory is taken in large pages: else the kernel enters each small one, up to a third of a test's processor time.
export GORACE := atexit_sleep_ms=0 no_huge_pages_for_shadow=0
# Not watched for races: what opens a key (slow so that passwords cannot be guessed, and ten times as slow when watched), and
# what only computes, at the start of each of the thousands of programs of the stories (rules are compiled, expressions too), and
# shares nothing with what is watched (nothing with atomics of its own: the order that they make would be unseen).
UNWATCHED := golang.org/x/crypto/scrypt golang.org/x/crypto/blowfish golang.org/x/crypto/ssh/internal/bcrypt_pbkdf \
  $(addprefix github.com/open-policy-agent/opa/v1/,ast ast/internal/scanner ast/internal/tokens types util) \
  regexp regexp/syntax math/big compress/flate path/filepath internal/filepathlite encoding/base64 \
  $(addprefix crypto/internal/fips140/,edwards25519 edwards25519/field nistec bigmod) go.yaml.in/yaml/v3 github.com/santhosh-tekuri/jsonschema/v6 github.com/asaskevich/govalidator \
  github.com/hashicorp/hcl/v2/hclsyntax github.com/apparentlymart/go-textseg/v15/textseg \
  $(addprefix github.com/vishwaops/vishwa/reconciler/format/,archive model table)
# What debuggers are told of is left out, as it is of the programs that are linked: a tenth of a compiler's time, a quarter of its cache.
LEAN := -gcflags=all=-dwarf=false
# The compiler collects its garbage less often: a fifth less of a processor's time, for some memory.
RACE := '-toolexec=env GOGC=400' $(LEAN)
# The race detector needs a C compiler. What comes with it, a look at each use of unsafe, is left out of reflect: it is not ours to
# test, and a tenth of what a test that reads and writes JSON costs. JSON's package looks at each byte in a function of its own: what
# it reads of values it reads through reflect, which is watched, and what it shares is in a sync.Map, which is too where it is not inlined.
ifeq ($(shell $(GO) env CGO_ENABLED),1)
RACE := -race $(RACE) $(foreach p,$(UNWATCHED),'-gcflags=$(p)=-race=false -dwarf=false') '-gcflags=encoding/json=-race=false -l -dwarf=false' '-gcflags=reflect=-d=checkptr=0 -dwarf=false'
endif
# So do the compilers of the tools, which have no C either: what they share with the programs that the tests build is compiled once.
COMPILED := $(addprefix $(TOOLS)/bin/,cosign staticcheck act actionlint tofu)
$(COMPILED): export GOGC := 400
$(COMPILED): export CGO_ENABLED := 0
$(COMPILED): export GOFLAGS := $(GOFLAGS) $(LEAN)
# One after another, also where make works on several targets: each uses what the one before it compiled.
$(TOOLS)/bin/act: | $(TOOLS)/bin/cosign
$(TOOLS)/bin/actionlint: | $(TOOLS)/bin/act
$(TOOLS)/bin/staticcheck: | $(TOOLS)/bin/actionlint

AIRFLOW := 3.3.2
KFP := 2.17.3
GTO := 1.10.1
OPTUNA := 5.0.0
MOTO := 5.2.5
RAY := 2.60.0
MLFLOW := mlflow==3.17.2 boto3==1.44.8 scikit-learn==1.7.2 xgboost-cpu==3.2.0 wandb==0.31.0 dvclive==3.49.1 tensorboardX==2.6.5
KUBERNETES := $(addprefix $(TOOLS)/bin/,kubeone etcd coredns containerd pause kueue minio helm cyclonedx-gomod traefik) $(addprefix $(TOOLS)/share/,kueue.yaml gateway-api.yaml kserve.yaml)
KUBEFLOW   := $(addprefix $(TOOLS)/bin/,jobset trainer) $(addprefix $(TOOLS)/share/,jobset.yaml trainer.yaml)
# What runs the tests of real engines; each chooses by the first word of a test's name.
ENGINES    := ./reconciler/port/porttest/enginetest ./reconciler/adapter/launcher/... ./reconciler/adapter/server/docker ./reconciler/adapter/server/kubernetes ./reconciler/adapter/packager ./reconciler/app ./cmd/vishwa-release

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/vishwa, bin/vishwa-worker and bin/vishwa-devforge
	CGO_ENABLED=0 $(GO) build -trimpath $(LEAN) -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN)/ ./cmd/vishwa ./cmd/vishwa-devforge
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath $(LEAN) -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN)/vishwa-worker ./cmd/vishwa-worker

release: $(TOOLS)/bin/cyclonedx-gomod ## build for linux and darwin into dist/, with sums, SBOMs and a signature (VISHWA_KEYS, VISHWA_KEY_PASSWORD)
	$(GO) run ./cmd/vishwa-release build --version $(VERSION) --commit '$(COMMIT)' --sbom $(TOOLS)/bin/cyclonedx-gomod --out $(DIST)

# What the image is laid over: BASE=HOST/NAME@sha256:... that has git, or without it this machine's Debian and what PACKAGES adds.
image: $(TOOLS)/bin/cyclonedx-gomod ## build an image of the controller and the worker into dist/image/, with its SBOM (BASE, PACKAGES, PUSH=HOST/NAME)
	$(GO) run ./cmd/vishwa-release image --version $(VERSION) --commit '$(COMMIT)' --sbom $(TOOLS)/bin/cyclonedx-gomod --out $(DIST)/image \
	  $(if $(BASE),--base $(BASE)) $(if $(PACKAGES),--packages $(PACKAGES)) $(if $(PUSH),--push $(PUSH))

demo: build $(PROVISIONER) ## set up and run the main job, in vishwa-demo/
	$(BIN)/vishwa demo $(DEMO)

demo-pr: build ## show the pull-request loop against a GitHub in one process, in vishwa-demo-pr/
	$(BIN)/vishwa-devforge demo --vishwa $(BIN)/vishwa $(DEMO)

# Tests of several packages build the programs, as build does: so they are compiled first, once, and not by each of them side by side.
# Without vet, which lint runs whole, and without symbols, which take a linker a sixth of its time and no trace of a panic needs. A package's tests wait for programs and for the clock a third of their time: another's run meanwhile.
# What a version manager has for Python is a script of a shell that begins ten programs before it, a tenth of a second each time: the tests
# find the interpreter that it would begin.
DIRECT = own=$$($(PYTHON) -c 'import os, sys; print(os.path.dirname(sys.executable))') && case $$(command -v $(PYTHON)) in "$$own"/*) ;; *) PATH="$$own:$$PATH" ;; esac;
test: tools ## set up and pass the tests, race detector on, with the real programs that install quickly
	$(if $(filter -race,$(RACE)),,@echo "There is no C compiler: the tests run without the race detector (apt-get install gcc libc6-dev)")
	CGO_ENABLED=0 GOGC=400 $(GO) build -trimpath $(LEAN) ./cmd/vishwa ./cmd/vishwa-worker
	$(DIRECT) .ci/in-memory $(GO) test $(RACE) -ldflags=-s -vet=off -timeout 60m -p $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )) ./...

test-real: tools build debian-docker debian-kubernetes $(KUBERNETES) $(KUBEFLOW) $(addprefix $(TOOLS)/bin/,minio registry crane tofu evidently whylogs) ## the main job with the real Python packages, Terraform, OpenTofu and cosign; stores in a real MinIO and a real registry; real engines (as root)
	rm -rf $(TOOLS)/demo
	$(BIN)/vishwa demo $(TOOLS)/demo
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 40m ./schemas ./reconciler/...
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 20m -run '^TestKubernetes' ./cmd/vishwa-release
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 40m -run 'Real|OpenTofu|LittleMemory' ./cmd/vishwa
	$(MAKE) test-package test-tensorflow test-runtimes test-examples test-prometheus test-kafka test-kfp test-gto test-optuna test-iam test-mlflow test-wandb test-airflow

test-evidently: $(TOOLS)/bin/evidently ## scores of drift, held against Evidently's own over generated samples
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 20m -run '^TestReal' ./reconciler/engine/drift

test-whylogs: $(TOOLS)/bin/whylogs ## profiles of whylogs and their drift, held against the package itself
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 20m -run '^TestReal' ./reconciler/format/whylogs

test-tensorflow: $(TOOLS)/bin/tensorflow ## SavedModels that TensorFlow writes, held against what is known of them, and served as TensorFlow Serving does (installs 1.5 GB)
	VISHWA_TENSORFLOW=$(TOOLS)/bin/tensorflow $(GO) test -count=1 -timeout 20m -run '^TestTensorFlow' -v ./reconciler/format/model ./reconciler/adapter/server/tfserving

test-runtimes: $(TOOLS)/runtimes/mlserver/bin/mlserver $(TOOLS)/runtimes/triton/bin/pytriton-ready $(TOOLS)/runtimes/onnxruntime/bin/onnxruntime-ready $(addprefix $(TOOLS)/runtimes/,bentoml/bin/bentoml kserve/bin/kserve-ready) ## programs that serve in place of a command, and KServe's own, each with the program itself (installs 1.3 GB)
	VISHWA_RUNTIMES=$(TOOLS)/runtimes $(GO) test -count=1 -timeout 20m -run '^TestRuntimesThemselves' -v ./cmd/vishwa

EXAMPLES = VISHWA_EXAMPLES='$(1)' $(GO) test -count=1 -timeout 40m -run '^TestExamplesThemselves' -v ./cmd/vishwa
test-examples: test-examples-mlflow-autolog test-examples-onnx-serving test-examples-pytorch-tabular test-examples-tensorflow-tabular ## each example but the running one, from its data to a served answer

test-examples-mlflow-autolog: ## a script of MLflow as it is, by its own flags (installs 800 MB)
	$(call EXAMPLES,mlflow-autolog)

test-examples-onnx-serving: ## scikit-learn in two formats that answer alike, served as ONNX by MLServer (installs 900 MB)
	$(call EXAMPLES,onnx-serving)

test-examples-pytorch-tabular: debian-torch ## a network of PyTorch on two processes, which goes on after a kill (as root on Debian; 184 packages)
	$(call EXAMPLES,pytorch-tabular)

test-examples-tensorflow-tabular: ## a network of TensorFlow, asked as TensorFlow Serving is (installs 1.5 GB)
	$(call EXAMPLES,tensorflow-tabular)

test-package: tools debian-docker debian-skopeo $(addprefix $(TOOLS)/bin/,registry crane oras containerd ctr) ## packages of models in a real registry, verified by cosign, read by crane, oras and skopeo, mounted by containerd and run by Docker (as root)
	VISHWA_REAL=1 VISHWA_CONTAINERD=1 $(GO) test -count=1 -timeout 10m ./reconciler/adapter/packager
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 10m -run '^TestRealPackages' ./cmd/vishwa

bench-package: $(addprefix $(TOOLS)/bin/,registry crane oras) ## a model into a registry, next to crane and oras (SCALE=, PAIRS=); TMPDIR= is best in memory
	$(BENCH) package

test-prometheus: tools $(addprefix $(TOOLS)/bin/,prometheus promtool alertmanager) ## metrics, rules, dashboards and alerts, with a real Prometheus and Alertmanager (builds for minutes, once)
	cd .ci/dashboards && GOWORK=off GOFLAGS=-mod=readonly $(GO) run . -check $(CURDIR)/templates/monitoring/grafana/dashboards/vishwa
	VISHWA_PROMETHEUS=1 $(GO) test -count=1 -timeout 20m -run 'Prometheus|Promtool' ./reconciler/controller ./cmd/vishwa

test-docker: debian-docker $(addprefix $(TOOLS)/bin/,minio traefik) ## what drives Docker, on a real engine of the tests' own, with Traefik (as root: it makes namespaces)
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 10m -run '^TestDocker' $(ENGINES)

bench-docker: debian-docker ## a run through Docker, beside docker run (as root)
	VISHWA_REAL=1 $(BENCH) docker

test-kubernetes: debian-kubernetes $(KUBERNETES) ## what drives Kubernetes, on a real cluster of the tests' own, with Kueue, Traefik and the kinds of KServe (as root; builds for minutes, once)
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 20m -run '^TestKubernetes' $(ENGINES)

bench-kubernetes: debian-kubernetes $(KUBERNETES) ## the figures of docs/benchmarks.md that need a real cluster (as root)
	VISHWA_REAL=1 $(BENCH) $(or $(ROWS),kubernetes)

test-kubeflow: debian-kubernetes $(KUBERNETES) $(KUBEFLOW) ## what drives Kubeflow, on the same cluster with JobSet and Trainer (as root)
	VISHWA_REAL=1 $(GO) test -count=1 -timeout 10m -run '^TestKubeflow' $(ENGINES)

test-airflow: $(TOOLS)/airflow/bin/airflow ## what drives Airflow, on a real one (1 GB; slow to start)
	VISHWA_AIRFLOW=$(TOOLS)/airflow $(GO) test -count=1 -timeout 24m -run '^TestAirflowItself' -v ./reconciler/adapter/launcher/service

test-kfp: $(TOOLS)/kfp/bin/kfp ## what is written for Kubeflow Pipelines, by its own SDK and its local runner
	VISHWA_KFP=$(TOOLS)/kfp $(GO) test -count=1 -timeout 10m -run '^TestKFPItself' -v ./templates ./reconciler/format/pipeline

test-mlflow: $(TOOLS)/mlflow/bin/mlflow $(TOOLS)/bin/minio ## what shows runs in MLflow, on a real server and with its models in a real MinIO, and scripts that log by the real MLflow, W&B, DVCLive and TensorBoard (1 GB)
	VISHWA_REAL=1 VISHWA_MLFLOW=$(TOOLS)/mlflow $(GO) test -count=1 -timeout 20m -run '^TestMLflowItself' -v ./reconciler/adapter/tracker ./reconciler/controller ./cmd/vishwa

test-wandb: $(TOOLS)/mlflow/bin/mlflow ## runs as runs of W&B that are offline, uploaded by the real wandb to a double of its server (1 GB)
	VISHWA_MLFLOW=$(TOOLS)/mlflow $(GO) test -count=1 -timeout 10m -run '^TestWandBItself' -v ./reconciler/adapter/tracker/wandb

test-gto: $(TOOLS)/gto/bin/gto ## releases as Git tags, read by the real GTO (120 MB)
	VISHWA_GTO=$(TOOLS)/gto/bin/gto $(GO) test -count=1 -timeout 10m -run '^TestGTOItself' -v ./reconciler/adapter/tracker/gto

test-optuna: $(TOOLS)/optuna/bin/optuna ## the sampler of the guide, with the real Optuna (150 MB)
	VISHWA_OPTUNA=$(TOOLS)/optuna $(GO) test -count=1 -timeout 10m -run '^TestOptunaItself' -v ./cmd/vishwa

test-iam: build $(PROVISIONER) $(TOOLS)/moto/bin/moto_server $(TOOLS)/bin/minio ## examples/iam by Terraform on a real moto that asks for leave, refused what is worse, and tried on a real MinIO (150 MB; builds a provider for minutes, once)
	cd .ci/servers/aws && GOWORK=off GOFLAGS=-mod=readonly $(GO) build -trimpath -o $(TOOLS)/moto/terraform-provider-aws .
	cd .ci/servers/aws && VISHWA_PROGRAM=$(BIN)/vishwa VISHWA_PROVIDER=$(TOOLS)/moto/terraform-provider-aws VISHWA_MOTO=$(TOOLS)/moto/bin/moto_server VISHWA_MINIO=$(TOOLS)/bin/minio \
	  GOWORK=off GOFLAGS=-mod=readonly $(GO) test -count=1 -timeout 20m -v .

try-ray: $(TOOLS)/ray/bin/ray ## what drives Ray, on the head of a real one: by hand, as its starts are not to be relied on (320 MB; 1.8 GB of memory)
	.ci/servers/ray.sh $(TOOLS)/ray $(GO) test -count=1 -timeout 10m -run '^TestRayItself' -v ./reconciler/adapter/launcher/service

test-kafka: $(TOOLS)/kafka/lib ## datasets out of a real broker of Kafka (needs Java and Maven; 45 MB)
	VISHWA_KAFKA=$(TOOLS)/kafka/lib $(GO) test -count=1 -timeout 24m -run '^TestKafkaItself' -v ./reconciler/adapter/source

bench-mlflow: $(TOOLS)/mlflow/bin/mlflow $(TOOLS)/bin/minio ## runs and a model of 2 GB in MLflow, next to its own client on the same server (ROWS=, SCALE=, PAIRS=)
	VISHWA_MLFLOW=$(TOOLS)/mlflow $(BENCH) $(or $(ROWS),mlflow)

bench-kafka: $(TOOLS)/kafka/lib ## a range of ten million messages beside Kafka's console consumer (VISHWA_BENCH_RECORDS)
	VISHWA_KAFKA=$(TOOLS)/kafka/lib $(BENCH) kafka

debian-docker:
	@.ci/servers/apt.sh docker

debian-skopeo:
	@.ci/servers/apt.sh skopeo

debian-torch:
	@.ci/servers/apt.sh torch

debian-kubernetes:
	@.ci/servers/apt.sh kubernetes

# ROWS="version plan" are some of them; SCALE=0.01 and PAIRS=1 are a trial of small sizes, which is shown and not kept.
BENCH = VISHWA_BENCH_SCALE=$(SCALE) VISHWA_BENCH_PAIRS=$(PAIRS) VISHWA_BENCH_DIR=$(BENCH_DIR) VISHWA_BENCH_BIN=$(BIN) $(GO) run ./cmd/internal/benchmarks
bench: build ## the tables of docs/benchmarks.md that need no server, measured anew (ROWS=, SCALE=, PAIRS=, BENCH_DIR=)
	$(BENCH) $(ROWS)

bench-drift: $(TOOLS)/bin/evidently ## drift's table, next to Evidently
	$(BENCH) drift

bench-tables: ## the tables of docs/benchmarks.md, written anew from the results that are kept
	$(GO) run ./cmd/internal/benchmarks -kept

# With the packages that tests of the program itself build, which is why it has their flags.
bench-guard: ## what commands cost, counted, against cmd/vishwa/testdata/costs.json (UPDATE=-update writes it)
	VISHWA_BENCH_GUARD=1 CGO_ENABLED=0 $(GO) test -trimpath $(LEAN) -vet=off -count=1 -run '^TestGuarded' -timeout 10m ./cmd/vishwa $(UPDATE)

bench-growth: ## what is counted as work grows up to a thousand times, in an hour and in much room (RUN=candidates is one of them; TMPDIR= is best in memory)
	VISHWA_BENCH_GUARD=1 VISHWA_BENCH_GROWTH=1 CGO_ENABLED=0 $(GO) test -trimpath $(LEAN) -vet=off -count=1 -v -run '^TestGuardedGrowth$$/$(RUN)' -timeout 3h ./cmd/vishwa

bench-data: build $(addprefix $(TOOLS)/bin/,dvc model_signing minio s5cmd frames) ## data's tables, beside DVC, s5cmd, sums, model_signing, pandas and polars (ROWS=, SCALE=, PAIRS=; BENCH_DIR= is best in memory)
	$(BENCH) $(or $(ROWS),data)

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg; \
	  done; done

# As the tests are built, so that all that is compiled for one is there for the other.
WATCHED := GOFLAGS="$$GOFLAGS $(RACE)"
lint: $(TOOLS)/bin/staticcheck ## gofmt, vet, staticcheck, and freshness of what is generated
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	$(WATCHED) $(GO) vet ./...
	$(WATCHED) $(TOOLS)/bin/staticcheck ./...
	$(GO) mod tidy -diff

vuln: ## known vulnerabilities in what is called (needs vuln.go.dev)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) ./...

generate: ## write the JSON Schemas, docs/reference and the dashboards anew from the Go types, the commands and .ci/dashboards
	$(GO) generate ./schemas
	cd .ci/dashboards && GOWORK=off GOFLAGS=-mod=readonly $(GO) run . $(CURDIR)/templates/monitoring/grafana/dashboards/vishwa
	$(GO) run ./cmd/vishwa reference markdown docs/reference/commands

man: build ## manual pages, in dist/man (copy them to a man1 folder of MANPATH)
	$(BIN)/vishwa reference man $(DIST)/man

completions: build ## completions for bash, zsh and fish, in dist/completions
	mkdir -p $(DIST)/completions
	set -e; for shell in bash zsh fish; do $(BIN)/vishwa completion $$shell > $(DIST)/completions/vishwa.$$shell; done

tools: $(PROVISIONER) $(TOOLS)/bin/cosign $(TOOLS)/bin/model_signing $(TOOLS)/bin/act $(TOOLS)/bin/actionlint $(TOOLS)/bin/dvc $(TOOLS)/bin/pyarrow ## install cosign, model_signing, act, actionlint, dvc and pyarrow into .tools/
	@command -v git >/dev/null || { echo "git is missing: apt-get install git"; exit 1; }
	@command -v ssh-keygen >/dev/null || { echo "ssh-keygen is missing: apt-get install openssh-client"; exit 1; }

# As messages name a tool that is not there: make .tools/bin/conftest.
.tools/%: $(TOOLS)/% ;

$(TOOLS)/optuna/bin/optuna:
	python3 -m venv $(TOOLS)/optuna
	$(TOOLS)/optuna/bin/pip install --quiet optuna==$(OPTUNA)

$(TOOLS)/gto/bin/gto:
	python3 -m venv $(TOOLS)/gto
	$(TOOLS)/gto/bin/pip install --quiet gto==$(GTO)

$(TOOLS)/moto/bin/moto_server:
	$(PYTHON) -m venv $(TOOLS)/moto
	$(TOOLS)/moto/bin/pip install --quiet 'moto[server]==$(MOTO)'

# In versions of a module of their own, where what they share with Vishwa has Vishwa's versions: that is compiled once.
$(addprefix $(TOOLS)/bin/,cosign act actionlint staticcheck):
	cd .ci/tools && GOWORK=off GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' $$(sed -n 's,^\t\([^ ]*/$(@F)\)$$,\1,p' go.mod)

# Its module replaces others, which go install pkg@version refuses.
$(TOOLS)/bin/s5cmd:
	mkdir -p $(TOOLS)/s5cmd && cd $(TOOLS)/s5cmd && { test -f go.mod || $(GO) mod init s5cmd; } && $(GO) get github.com/peak/s5cmd/v2@$(S5CMD) && \
	  GOBIN=$(TOOLS)/bin $(GO) install -mod=mod -trimpath github.com/peak/s5cmd/v2

# Its module replaces one of those it needs, which go install pkg@version refuses: so it is built in a copy of its folder.
# That takes many minutes, once.
$(TOOLS)/bin/tofu:
	@echo "neither terraform nor tofu is on PATH: building OpenTofu $(TOFU), once, which takes minutes"
	rm -rf $(TOOLS)/src/opentofu && mkdir -p $(TOOLS)/src $(TOOLS)/bin
	$(GO) mod download -json github.com/opentofu/opentofu@$(TOFU) > $(TOOLS)/src/opentofu.json
	@grep -qF '"Sum": "$(TOFU_SUM)"' $(TOOLS)/src/opentofu.json || { echo "what was downloaded as OpenTofu $(TOFU) has another sum than the Makefile names"; exit 1; }
	cp -r "$$(sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p' $(TOOLS)/src/opentofu.json)" $(TOOLS)/src/opentofu && chmod -R u+w $(TOOLS)/src/opentofu
	cd $(TOOLS)/src/opentofu && GOFLAGS='-mod=readonly $(LEAN)' GOWORK=off $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -X github.com/opentofu/opentofu/version.dev=no' -o $(TOOLS)/src/tofu ./cmd/tofu
	mv $(TOOLS)/src/tofu $@ && rm -rf $(TOOLS)/src/opentofu $(TOOLS)/src/opentofu.json

$(TOOLS)/bin/cyclonedx-gomod:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX)

$(TOOLS)/bin/helm:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' helm.sh/helm/v3/cmd/helm@$(HELM)

$(TOOLS)/bin/model_signing:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/venv
	$(TOOLS)/venv/bin/pip install --quiet $(MODEL_SIGNING)
	ln -sf ../venv/bin/model_signing $@

$(TOOLS)/bin/dvc:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/dvc
	$(TOOLS)/dvc/bin/pip install --quiet $(DVC)
	ln -sf ../dvc/bin/dvc $@

# A Python that has pyarrow, which tests of tables are held against.
$(TOOLS)/bin/pyarrow:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/pyarrow
	$(TOOLS)/pyarrow/bin/pip install --quiet $(PYARROW)
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/../pyarrow/bin/python" "$$@"\n' > $@.new && chmod +x $@.new && mv $@.new $@

# A Python that has pandas and polars, which profiles are measured beside.
$(TOOLS)/bin/frames:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/frames
	$(TOOLS)/frames/bin/pip install --quiet $(PANDAS) $(POLARS)
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/../frames/bin/python" "$$@"\n' > $@.new && chmod +x $@.new && mv $@.new $@

# Pythons that have the servers. The package that has MLServer read models of XGBoost wants the one with NCCL, so that it is installed next to the other.
$(TOOLS)/runtimes/mlserver/bin/mlserver:
	mkdir -p $(TOOLS)/runtimes
	$(PYTHON) -m venv $(TOOLS)/runtimes/mlserver
	$(TOOLS)/runtimes/mlserver/bin/pip install --quiet --no-deps mlserver-xgboost==1.7.1
	$(TOOLS)/runtimes/mlserver/bin/pip install --quiet $(MLSERVER)

$(TOOLS)/runtimes/triton/bin/pytriton-ready:
	mkdir -p $(TOOLS)/runtimes
	$(PYTHON) -m venv $(TOOLS)/runtimes/triton
	$(TOOLS)/runtimes/triton/bin/pip install --quiet $(TRITON)
	touch $@

$(TOOLS)/runtimes/onnxruntime/bin/onnxruntime-ready:
	mkdir -p $(TOOLS)/runtimes
	$(PYTHON) -m venv $(TOOLS)/runtimes/onnxruntime
	$(TOOLS)/runtimes/onnxruntime/bin/pip install --quiet $(ONNXRUNTIME)
	touch $@

# KServe's server for models of a class of one's own, which is no program.
$(TOOLS)/runtimes/kserve/bin/kserve-ready:
	mkdir -p $(TOOLS)/runtimes
	$(PYTHON) -m venv $(TOOLS)/runtimes/kserve
	$(TOOLS)/runtimes/kserve/bin/pip install --quiet $(KSERVE)
	touch $@

$(TOOLS)/runtimes/bentoml/bin/bentoml:
	mkdir -p $(TOOLS)/runtimes
	$(PYTHON) -m venv $(TOOLS)/runtimes/bentoml
	$(TOOLS)/runtimes/bentoml/bin/pip install --quiet $(BENTOML)

# A Python that has TensorFlow, whose models are held against what is known of them.
$(TOOLS)/bin/tensorflow:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/tensorflow
	$(TOOLS)/tensorflow/bin/pip install --quiet $(TENSORFLOW)
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/../tensorflow/bin/python" "$$@"\n' > $@.new && chmod +x $@.new && mv $@.new $@

# A Python that has Evidently, whose scores of drift are held against ours.
$(TOOLS)/bin/evidently:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/evidently
	$(TOOLS)/evidently/bin/pip install --quiet $(EVIDENTLY)
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/../evidently/bin/python" "$$@"\n' > $@.new && chmod +x $@.new && mv $@.new $@

# A Python that has whylogs; it wants IPython to be imported at all.
$(TOOLS)/bin/whylogs:
	mkdir -p $(TOOLS)/bin
	$(PYTHON) -m venv $(TOOLS)/whylogs
	$(TOOLS)/whylogs/bin/pip install --quiet $(WHYLOGS)
	printf '#!/bin/sh\nexec "$$(dirname "$$0")/../whylogs/bin/python" "$$@"\n' > $@.new && chmod +x $@.new && mv $@.new $@

$(TOOLS)/bin/minio:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' github.com/minio/minio@$(MINIO)

$(TOOLS)/bin/registry:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' github.com/distribution/distribution/v3/cmd/registry@$(REGISTRY)

$(TOOLS)/bin/oras:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' oras.land/oras/cmd/oras@$(ORAS)

$(TOOLS)/bin/crane:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' github.com/google/go-containerregistry/cmd/crane@$(CRANE)

$(TOOLS)/bin/conftest:
	GOBIN=$(TOOLS)/bin $(GO) install -trimpath -ldflags='-s -w' github.com/open-policy-agent/conftest@$(CONFTEST)

# Without service discovery, which is most of what there is to build.
$(TOOLS)/bin/prometheus $(TOOLS)/bin/promtool:
	GOBIN=$(TOOLS)/bin $(GO) install -tags remove_all_sd -trimpath -ldflags='-s -w' github.com/prometheus/prometheus/cmd/$(@F)@$(PROMETHEUS)

# Its module lacks the pages that it embeds: it is built in a copy of its folder, with an empty one.
$(TOOLS)/bin/alertmanager:
	rm -rf $(TOOLS)/src/alertmanager && mkdir -p $(TOOLS)/src $(TOOLS)/bin
	$(GO) mod download -json github.com/prometheus/alertmanager@$(ALERTMANAGER) > $(TOOLS)/src/alertmanager.json
	cp -r "$$(sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p' $(TOOLS)/src/alertmanager.json)" $(TOOLS)/src/alertmanager && chmod -R u+w $(TOOLS)/src/alertmanager
	for page in elm mantine; do mkdir -p $(TOOLS)/src/alertmanager/ui/app/dist/$$page && echo '<html></html>' > $(TOOLS)/src/alertmanager/ui/app/dist/$$page/index.html; done
	cd $(TOOLS)/src/alertmanager && GOFLAGS=-mod=readonly GOWORK=off $(GO) build -trimpath -buildvcs=false -ldflags='-s -w' -o $@ ./cmd/alertmanager
	rm -rf $(TOOLS)/src/alertmanager $(TOOLS)/src/alertmanager.json

# Its module replaces others: it is built in a copy of its folder. Without the makers of DNS records and without Amazon's containers,
# which are most of what there is to build; its pages are not in the module.
$(TOOLS)/bin/traefik:
	rm -rf $(TOOLS)/src/traefik && mkdir -p $(TOOLS)/src $(TOOLS)/bin
	$(GO) mod download -json github.com/traefik/traefik/v3@$(TRAEFIK) > $(TOOLS)/src/traefik.json
	cp -r "$$(sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p' $(TOOLS)/src/traefik.json)" $(TOOLS)/src/traefik && chmod -R u+w $(TOOLS)/src/traefik
	cd $(TOOLS)/src/traefik/pkg && sed -i '/lego\/v4\/providers\/dns"$$/d; s/dns\.NewDNSChallengeProviderByName(.*)/challenge.Provider(nil), errors.New("built without DNS")/' provider/acme/provider.go && \
	  sed -i '/conf\.Ecs != nil/,/}/d' provider/aggregator/aggregator.go && sed -i '/provider\/ecs"$$/d; /\*ecs\.Provider/d' config/static/static_config.go
	cd $(TOOLS)/src/traefik && CGO_ENABLED=0 GOGC=400 GOFLAGS=-mod=readonly GOWORK=off $(GO) build -trimpath -buildvcs=false \
	  -ldflags='-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=$(TRAEFIK:v%=%)' -o $@ ./cmd/traefik
	rm -rf $(TOOLS)/src/traefik $(TOOLS)/src/traefik.json

# The kinds of the Gateway API that Traefik knows.
$(TOOLS)/share/gateway-api.yaml:
	mkdir -p $(@D) && at=$$($(GO) mod download -json sigs.k8s.io/gateway-api@$(GATEWAY_API) | sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p') && \
	  for kind in "$$at"/config/crd/standard/*_*.yaml; do cat "$$kind" && echo ---; done > $@.new && mv $@.new $@

# The kind InferenceService, whose module has no list of versions.
$(TOOLS)/share/kserve.yaml:
	mkdir -p $(@D) && at=$$($(GO) mod download -json github.com/kserve/kserve@$(KSERVE_KINDS) | sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p') && \
	  cp "$$at/config/crd/full/serving.kserve.io_inferenceservices.yaml" $@.new && chmod u+w $@.new && mv $@.new $@

# The jars of a broker, in versions that .ci/servers/kafka/pom.xml names.
$(TOOLS)/kafka/lib: .ci/servers/kafka/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "Java or Maven is missing: apt-get install openjdk-17-jre-headless maven"; exit 1; }
	mkdir -p $(TOOLS)/kafka && cp .ci/servers/kafka/pom.xml $(TOOLS)/kafka/
	cd $(TOOLS)/kafka && rm -rf lib.new && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib.new -DincludeScope=runtime && rm -rf lib && mv lib.new lib && touch lib

$(TOOLS)/airflow/bin/airflow:
	python3 -m venv $(TOOLS)/airflow && $(TOOLS)/airflow/bin/pip install --quiet apache-airflow==$(AIRFLOW)

$(TOOLS)/ray/bin/ray:
	python3 -m venv $(TOOLS)/ray && $(TOOLS)/ray/bin/pip install --quiet 'ray[default]==$(RAY)'

$(TOOLS)/mlflow/bin/mlflow:
	python3 -m venv $(TOOLS)/mlflow && $(TOOLS)/mlflow/bin/pip install --quiet $(MLFLOW)

$(TOOLS)/kfp/bin/kfp:
	python3 -m venv $(TOOLS)/kfp && $(TOOLS)/kfp/bin/pip install --quiet kfp==$(KFP)

# The servers of test-kubernetes and test-kubeflow. Their versions stand in the go.mod of each folder of .ci/servers. Without cgo
# they need nothing of the machine, and run in an image of their own. GOGC halves the time and takes 3 GB.
SERVER = cd .ci/servers/$(1) && CGO_ENABLED=0 GOGC=400 GOWORK=off GOFLAGS=-mod=readonly $(GO) build -trimpath -buildvcs=false -o $(or $(2),$@) -ldflags

# All programs of Kubernetes in one: one link in place of six. Without a version kubectl refuses to check what it applies.
VERSION_OF := k8s.io/component-base/version
$(TOOLS)/bin/kubeone:
	@echo "building Kubernetes, once: 10 minutes of a processor"
	version=$$(cd .ci/servers/kubernetes && $(GO) list -m -f '{{.Version}}' k8s.io/kubernetes) && minor=$${version#v1.} && \
	  $(call SERVER,kubernetes) "-s -w -X $(VERSION_OF).gitVersion=$$version -X $(VERSION_OF).gitMajor=1 -X $(VERSION_OF).gitMinor=$${minor%.*} \
	    -X k8s.io/client-go/pkg/version.gitVersion=$$version" ./kubeone

$(TOOLS)/bin/etcd:
	$(call SERVER,kubernetes) '-s -w' go.etcd.io/etcd/server/v3

$(TOOLS)/bin/coredns:
	$(call SERVER,kubernetes) '-s -w' ./coredns

$(TOOLS)/bin/kueue:
	$(call SERVER,kubernetes) '-s -w' sigs.k8s.io/kueue/cmd/kueue

$(TOOLS)/bin/trainer:
	$(call SERVER,kubernetes) '-s -w' github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager

$(TOOLS)/bin/jobset:
	$(call SERVER,jobset) '-s -w' sigs.k8s.io/jobset

# containerd last: who has it has its other half.
$(TOOLS)/bin/containerd:
	$(call SERVER,containerd,$@-shim-runc-v2) '-s -w' github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
	$(call SERVER,containerd) '-s -w' github.com/containerd/containerd/v2/cmd/containerd

$(TOOLS)/bin/ctr:
	$(call SERVER,containerd) '-s -w' github.com/containerd/containerd/v2/cmd/ctr

$(TOOLS)/bin/pause:
	$(call SERVER,pause) '-s -w' .

# The manifests of the controllers, as their own modules carry them. Trainer's name JobSet's by an address: JobSet is installed before.
MODULE = $$(cd .ci/servers/$(1) && GOWORK=off $(GO) mod download -json $(2) | sed -n 's/^.*"Dir": "\(.*\)".*$$/\1/p')
KUSTOMIZE = mkdir -p $(TOOLS)/share && $(TOOLS)/bin/kubeone kubectl kustomize
$(TOOLS)/share/kueue.yaml: | $(TOOLS)/bin/kubeone
	$(KUSTOMIZE) $(call MODULE,kubernetes,sigs.k8s.io/kueue)/config/default > $@.new && mv $@.new $@

$(TOOLS)/share/jobset.yaml: | $(TOOLS)/bin/kubeone
	$(KUSTOMIZE) $(call MODULE,jobset,sigs.k8s.io/jobset)/config/default > $@.new && mv $@.new $@

$(TOOLS)/share/trainer.yaml: | $(TOOLS)/bin/kubeone
	rm -rf $(TOOLS)/src/trainer && mkdir -p $(TOOLS)/src && cp -r $(call MODULE,kubernetes,github.com/kubeflow/trainer/v2)/manifests $(TOOLS)/src/trainer
	chmod -R u+w $(TOOLS)/src/trainer && sed -i '/third-party\/jobset/d' $(TOOLS)/src/trainer/overlays/manager/kustomization.yaml
	$(KUSTOMIZE) $(TOOLS)/src/trainer/overlays/manager > $@.new && mv $@.new $@ && rm -rf $(TOOLS)/src/trainer

clean: ## remove what make built, and the tools
	rm -rf $(BIN) $(DIST) $(TOOLS)
