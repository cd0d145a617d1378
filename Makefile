# The front door. Every verb is one line over CMake or a tool; `make help` lists them. Two are enough to begin with:
# `make run` (an address to open in the browser) and `make test` (everything that .ci/run runs).
#
#   JOBS=4 make build      with so many compilers at once (default: all cores)
#   make run ARGS="--udp-port 7000"
#   make fuzz T=5          each fuzzer for 5 seconds

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
ARGS ?=
HTTP ?= http://127.0.0.1:8080
SEEDS ?= 10000
MINUTES ?= 60
SEED ?=
T ?= 60
SECONDS_EACH ?= $(T)
# Debian's emscripten finds its JavaScript packages only so.
export NODE_PATH ?= /usr/share/nodejs
export JOBS

# $(call need,tool,package): ends with the way out when a verb's tool is missing.
need = @command -v $(1) >/dev/null || { echo "make $@: needs $(1); fix: apt-get install $(2), or tools/setup.sh"; exit 1; }
# $(call built,file): ends when nothing of the tree makes the file so far.
built = @test -e $(1) || { echo "make $@: this tree makes no $(1)"; exit 1; }
build = cmake --preset $(1) && cmake --build --preset $(1) -j $(JOBS)
# What `make run` builds of the tree: the server and the command line tool; the tests can wait.
programs = necpnet-server necpnet-cli

.DEFAULT_GOAL := help
.PHONY: help deps run dev build test check quick bench fuzz sim sim-night sim-plants soak format amalgamate asan tsan wasm mingw \
        coverage profile-cpu profile-mem health docker-build docker-test docker-run docker-up docker-down k8s-deploy install clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

deps: ## install what building and testing need (asks for root where it must)
	tools/setup.sh

run: ## build and start the server in development mode; prints the address of the page
	tools/setup.sh --minimal
	$(call build,release) --target $(programs)
	test ! -f wasm/CMakeLists.txt || { tools/wasm_deps.sh && $(call build,wasm); }
	$(call built,build/release/bin/necpnet-server)
	exec build/release/bin/necpnet-server $(ARGS)

dev: ## the same, rebuilt and restarted on every change
	python3 tools/dev.py $(ARGS)

build: ## optimised: build/release/bin, /tests/ws_echo, /bench, /examples
	$(call build,release)

test: ## everything that .ci/run runs
	python3 tools/test_all.py

check: ## what must hold before a change is shared: fresh, layers, style, exports, unit and API tests
	tools/quick.sh

quick: check ## another name for check

bench: ## measure against the peers that are installed; figures as JSON lines after each table; some minutes
	$(call build,release)
	@for program in build/release/bench/*; do \
		test -f $$program -a -x $$program || continue; \
		echo "== $$program"; $$program; code=$$?; \
		if [ $$code = 2 ]; then echo "   not measured: it needs arguments, as its usage says"; \
		elif [ $$code != 0 ]; then echo "make bench: $$program ended with $$code"; exit 1; fi; \
	done

fuzz: ## every fuzzer for T seconds (60), from tests/corpus
	$(call need,clang,clang)
	$(call build,fuzz)
	python3 tools/fuzz.py --seconds $(SECONDS_EACH)

sim: ## the simulated worlds, as many seeds as CI runs; SEED=n: one of them, with everything that happens in it
	cmake --preset dev && cmake --build --preset dev -j $(JOBS) --target sim_world
	$(if $(SEED),SIM_TRACE=1 build/dev/tests/sim_world --seed $(SEED) --seeds 1,SIM_PROGRESS=1 build/dev/tests/sim_world)

sim-night: ## SEEDS simulated worlds (10000), with a line every hundred
	cmake --preset dev && cmake --build --preset dev -j $(JOBS) --target sim_world
	SIM_PROGRESS=1 build/dev/tests/sim_world --seeds $(SEEDS)

soak: ## MINUTES (60) of load and faults on the server: its memory and descriptors must stay level
	$(call build,release) --target $(programs)
	python3 tools/soak.py --minutes $(MINUTES)

sim-plants: ## proof that the simulated worlds see: known kinds of bugs planted one at a time, each must be caught
	python3 tools/plant_bugs.py

format: ## lay out every file of ours
	python3 tools/format.py

amalgamate: ## build necpnet.c from src/PARTS
	python3 tools/amalgamate.py

asan: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(call build,asan)
	ctest --test-dir build/asan -j $(JOBS) --output-on-failure

tsan: ## all tests under ThreadSanitizer
	$(call build,tsan)
	ctest --test-dir build/tsan -j $(JOBS) --output-on-failure

wasm: ## the browser client
	$(call need,emcc,emscripten)
	tools/wasm_deps.sh
	$(call build,wasm)

mingw: ## Windows programs, and their tests under wine
	$(call need,x86_64-w64-mingw32-gcc,gcc-mingw-w64-x86-64)
	tools/mingw_deps.sh
	$(call build,mingw)
	ctest --test-dir build/mingw -L 'unit|api' -j $(JOBS) --output-on-failure

coverage: ## lines that the tests reach, and at least 90 % of src/: build/coverage/report.html
	$(call need,gcovr,gcovr)
	$(call build,coverage)
	find build/coverage -name '*.gcda' -delete
	ctest --test-dir build/coverage -j $(JOBS) --output-on-failure
	python3 tools/coverage.py

profile-cpu: ## sample the running server for 10 s, then show where its time goes
	$(call need,perf,linux-perf)
	@pgrep necpnet-server >/dev/null || { echo "make profile-cpu: no necpnet-server runs; fix: make run in another terminal"; exit 1; }
	perf record -g -o build/perf.data -p "$$(pgrep -n necpnet-server)" -- sleep 10 && perf report -i build/perf.data --stdio | head -80

profile-mem: ## the server under valgrind's heap profiler until you stop it, then its peaks
	$(call need,valgrind,valgrind)
	$(call build,dev)
	$(call built,build/dev/bin/necpnet-server)
	trap : INT; valgrind --tool=massif --massif-out-file=build/massif.out build/dev/bin/necpnet-server $(ARGS); ms_print build/massif.out | head -120

health: ## ask the running server how it is (HTTP=http://host:port)
	$(call need,curl,curl)
	@curl -fsS --max-time 5 $(HTTP)/health && echo || { echo "make health: no healthy answer from $(HTTP)/health; is \`make run\` running?"; exit 1; }

# podman or docker, whichever is there; IMAGE, NAMESPACE may be given.
CONTAINERS ?= $(shell command -v podman || command -v docker)
IMAGE ?= necpnet-server
has_containers = @test -n "$(CONTAINERS)" || { echo "make $@: needs podman or docker; fix: apt-get install podman"; exit 1; }
compose = $(CONTAINERS) compose -f server/deploy/compose.yaml

docker-build: ## the server's image (IMAGE), by podman or docker, with the browser's pages where emcc and npm are
	$(has_containers)
	@if command -v emcc >/dev/null && test -d server/web/node_modules; then tools/wasm_deps.sh && $(call build,wasm); \
	else echo "make $@: without dashboard and demo page: needs emcc and npm; fix: tools/setup.sh"; fi
	BUILDAH_FORMAT=docker $(CONTAINERS) build -t $(IMAGE) -f server/deploy/Containerfile .

docker-test: ## build the image with podman, out of the way of your own, run it, look at it; says what it could not do
	python3 tools/check_image.py

docker-run: ## run the image in production mode; NECPNET_TOKEN_KEYS and JWT_SECRET come from the environment
	$(has_containers)
	$(CONTAINERS) run --rm -it -p 8080:8080 -p 7777:7777/udp -e NECPNET_TOKEN_KEYS -e JWT_SECRET -e NECPNET_PUBLIC_URLS $(IMAGE) $(ARGS)

docker-up: ## server, Prometheus and Grafana (server/deploy/compose.yaml)
	$(has_containers)
	$(compose) up -d

docker-down: ## end what docker-up began
	$(has_containers)
	$(compose) down

k8s-deploy: ## apply server/deploy/kubernetes to the cluster that kubectl knows
	$(call need,kubectl,kubernetes-client)
	kubectl apply -k server/deploy/kubernetes

install: ## install the library, its CMake package and the programs below PREFIX (/usr/local)
	$(call build,release)
	cmake --install build/release --prefix $(or $(PREFIX),/usr/local)

clean: ## delete everything that was built
	rm -rf build
