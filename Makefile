# trail: build, try, test. `make help` lists the targets.
#
# Everything is built under build/ (with SANITIZE=1 under build/sanitize/). V=1 shows the commands.

CC       ?= cc
CFLAGS   ?= -O2 -g
OBJCOPY  ?= objcopy
LUA      ?= lua5.4
BUSTED   ?= busted
PREFIX   ?= /usr/local
DESTDIR  ?=

V        ?=
Q        := $(if $(V),,@)
SANITIZE ?=
ifneq ($(SANITIZE),)
B        := build/sanitize
SAN      := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
B        := build
SAN      :=
endif

# Links are optimised as a whole: an append costs a tenth less. The archive holds plain objects, so
# that this is nobody else's affair.
LTO      := $(if $(SANITIZE)$(findstring clang,$(CC)),,-flto=auto)
LTO_OBJ  := $(if $(LTO),$(LTO) -ffat-lto-objects)

# Our own flags, never mixed into the user's CFLAGS. One reason each:
TRAIL_CFLAGS := -std=c11 -D_GNU_SOURCE \
	-fPIC -pthread \
	-fvisibility=hidden \
	-Wall -Wextra -Wshadow -Wconversion -pedantic \
	-Wstrict-prototypes -Wmissing-prototypes \
	-Werror=unused-result -Werror=implicit-function-declaration -Werror=vla \
	-Isrc $(SAN)
LUA_CFLAGS   = $(shell pkg-config --cflags lua5.4)
LUA_LIBS     = $(shell pkg-config --libs lua5.4)
LIB_LIBS     := -llmdb -lcrypto -ljansson -luuid -pthread

EDGE_SRCS := $(wildcard src/lua_*.c) $(wildcard src/main*.c) $(wildcard src/testing*.c) $(wildcard src/bench*.c)
LIB_SRCS  := $(filter-out $(EDGE_SRCS),$(wildcard src/*.c))
LUA_SRCS  := $(wildcard src/lua_*.c)
TEST_SRCS := $(wildcard src/testing*.c)
BENCH_SRCS := $(wildcard src/bench*.c)

LIB_OBJS  := $(LIB_SRCS:src/%.c=$(B)/obj/%.o)
LUA_OBJS  := $(LUA_SRCS:src/%.c=$(B)/obj/%.o)
TEST_OBJS := $(TEST_SRCS:src/%.c=$(B)/obj/%.o)
BENCH_OBJS := $(BENCH_SRCS:src/%.c=$(B)/obj/%.o)
# The library once more with its fault points switched on, for the specs only.
FAULT_OBJS := $(LIB_SRCS:src/%.c=$(B)/faults/%.o)
EMBEDDED  := $(sort $(wildcard lua/trail/*.lua lua/trail/cli/*.lua))

PACKAGES := gcc libc6-dev make pkg-config liblmdb-dev libssl-dev libjansson-dev uuid-dev \
	lua5.4 liblua5.4-dev lua-cjson lua-argparse
DEMO_PACKAGES := python3
TEST_PACKAGES := lua-busted python3 faketime procps g++ locales
BENCH_PACKAGES := libsqlite3-dev libpq-dev postgresql-15

.PHONY: all lib lua cli testing examples demo test test-plain test-sanitize sanitize bench \
	bench-plain lint env \
	deps test-deps install clean help
.DELETE_ON_ERROR:

all: lib lua cli
	@:

lib: $(B)/libtrail.so $(B)/libtrail.a

lua: $(B)/lua/trail/core.so

cli: $(B)/trail

testing: $(B)/lua/trail/testing.so

$(B)/obj/lua_%.o $(B)/obj/main%.o $(B)/obj/main.o $(B)/obj/testing.o $(B)/obj/testing%.o $(B)/obj/embedded.o: TRAIL_CFLAGS += $(LUA_CFLAGS)

$(B)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LTO_OBJ) $(TRAIL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/faults/%.o: src/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(TRAIL_CFLAGS) -DTRAIL_FAULTS -MMD -MP -c -o $@ $<

$(B)/libtrail.a: $(LIB_OBJS)
	@echo '  $@'
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^
	$(Q)$(OBJCOPY) -R '.gnu.lto_*' -R '.gnu.debuglto_*' $@

# nodelete: fork handlers and a fetched digest must outlive the Lua state that loaded us.
$(B)/libtrail.so.0: $(LIB_OBJS)
	@echo '  $@'
	$(Q)$(CC) $(CFLAGS) $(LTO) $(SAN) $(LDFLAGS) -shared -Wl,-soname,libtrail.so.0 -Wl,-z,defs,-z,nodelete -o $@ $^ $(LIB_LIBS)

$(B)/libtrail.so: $(B)/libtrail.so.0
	$(Q)ln -sf libtrail.so.0 $@

# The module leaves lua_* open: the host has a Lua of its own. libtrail.so is found from where
# the module stands, in build/ as well as under PREFIX/lib.
$(B)/lua/trail/core.so: $(LUA_OBJS) $(B)/libtrail.so
	@mkdir -p $(@D)
	@echo '  $@'
	$(Q)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -shared -Wl,-rpath,'$$ORIGIN/../..:$$ORIGIN/../../..' -o $@ $(LUA_OBJS) -L$(B) -ltrail

# With the binding, so that specs can use a whole trail that has its fault points.
$(B)/lua/trail/testing.so: $(TEST_OBJS) $(LUA_OBJS) $(FAULT_OBJS)
	@mkdir -p $(@D)
	@echo '  $@'
	$(Q)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -shared -Wl,-z,nodelete -o $@ $^ $(LIB_LIBS)

$(B)/embedded.c: src/embed.lua $(EMBEDDED)
	@mkdir -p $(@D)
	$(Q)$(LUA) src/embed.lua $(EMBEDDED) > $@

$(B)/obj/embedded.o: $(B)/embedded.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(TRAIL_CFLAGS) -c -o $@ $<

# -E: C modules that a map script requires find the Lua inside.
$(B)/trail: $(B)/obj/main.o $(B)/obj/main_files.o $(B)/obj/embedded.o $(LUA_OBJS) $(LIB_OBJS)
	@echo '  $@'
	$(Q)$(CC) $(CFLAGS) $(LTO) $(SAN) $(LDFLAGS) -Wl,-E -o $@ $^ $(LUA_LIBS) $(LIB_LIBS) -lm -ldl

-include $(wildcard $(B)/obj/*.d $(B)/faults/*.d)

# ---- set-up: what is missing comes from Debian's packages ------------------------------------

SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)

define install
	@missing=; for p in $(1); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || \
		missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends $$missing >/dev/null; \
	fi
endef

deps:
	$(call install,$(PACKAGES))

test-deps:
	$(call install,$(PACKAGES) $(TEST_PACKAGES))

# ---- demo and tests ----------------------------------------------------------------------------

# The sub-make reads the compiler flags anew, when the packages are there.
demo:
	$(call install,$(PACKAGES) $(DEMO_PACKAGES))
	@$(MAKE) --no-print-directory all
	@TRAIL_BUILD=$(CURDIR)/$(B) sh examples/demo.sh

# In memory where there is room: the specs commit some ten thousand times.
SPEC_TMP = $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 2000000 ] \
	2>/dev/null && echo /dev/shm || echo /tmp)
SPEC_ENV = TRAIL_BUILD=$(B) TRAIL_COUNTS=build/counts LC_ALL=C.UTF-8 TMPDIR=$(SPEC_TMP) \
	LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(CURDIR)/?.lua;;' \
	LUA_CPATH='$(CURDIR)/$(B)/lua/?.so;;'
SPECS   ?= spec

# Both runs at a time, one for each core of a small machine; the second one is shown at the end.
test: test-deps
	@rm -f build/counts
	@$(MAKE) --no-print-directory -j2 all testing examples
	@$(MAKE) --no-print-directory -j2 SANITIZE=1 all testing examples
	@$(MAKE) --no-print-directory test-sanitize >build/sanitize.log 2>&1 & \
	$(MAKE) --no-print-directory test-plain; wait; cat build/sanitize.log; \
	$(LUA) spec/total.lua build/counts 2

test-plain: all testing examples
	@echo "== specs"
	@$(SPEC_ENV) $(BUSTED) --lua=$$(command -v $(LUA)) -o spec/report.lua $(SPECS)

# Once more with every access and every overflow checked. The interpreter itself is not built
# with the sanitizers, so their run-time library is loaded before it; what Lua leaves to the
# end of the process is no leak of ours.
test-sanitize:
	@$(MAKE) --no-print-directory SANITIZE=1 all testing examples
	@echo "== specs under AddressSanitizer and UndefinedBehaviorSanitizer"
	@$(SPEC_ENV:TRAIL_BUILD=$(B)=) TRAIL_BUILD=build/sanitize \
	LUA_CPATH='$(CURDIR)/build/sanitize/lua/?.so;;' \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:handle_abort=0 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	$(BUSTED) --lua=$$(command -v $(LUA)) -o spec/report.lua $(SPECS)

sanitize: test-sanitize

# Figures against SQLite, Postgres and what the machine can do: docs/performance.md. EVENTS is the
# size of the largest trail; the peers get a million of them at most.
EVENTS ?= 10000000
ROUND_EVENTS ?= 200000
ROUNDS ?= 3
IMPORT_LINES ?= 500000
BENCH_FLAGS ?=

bench:
	$(call install,$(PACKAGES) $(BENCH_PACKAGES))
	@$(MAKE) --no-print-directory bench-plain

bench-plain: $(B)/bench cli lua
	@$(B)/bench --build $(B) --lua $(LUA) --events $(EVENTS) --round $(ROUND_EVENTS) \
		--rounds $(ROUNDS) --lines $(IMPORT_LINES) $(BENCH_FLAGS)

$(B)/obj/bench_postgres.o: TRAIL_CFLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)

$(B)/bench: $(BENCH_OBJS) $(LIB_OBJS)
	@echo '  $@'
	$(Q)$(CC) $(CFLAGS) $(LTO) $(SAN) $(LDFLAGS) -o $@ $^ -lsqlite3 -lpq $(LIB_LIBS)

# The C examples, built as an outside program would be: by the public header alone.
examples: $(B)/append $(B)/query

$(B)/append $(B)/query: $(B)/%: examples/%.c $(B)/libtrail.so src/trail.h
	$(Q)$(CC) $(CFLAGS) $(SAN) -std=c11 -Wall -Wextra -pedantic -Isrc -o $@ $< \
		-L$(B) -ltrail -Wl,-rpath,'$$ORIGIN'

env:
	@echo "export PATH='$(CURDIR)/$(B)':\"\$$PATH\""
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;'"
	@echo "export LUA_CPATH='$(CURDIR)/$(B)/lua/?.so;;'"

# ---- checks that need no run, installation ------------------------------------------------------

LUA_FILES = $(wildcard lua/trail/*.lua lua/trail/cli/*.lua examples/*.lua spec/*.lua src/*.lua)
C_FILES   = $(wildcard src/*.c src/*.h examples/*.c spec/*.c spec/*.h)
CLANG_FORMAT ?= $(shell command -v clang-format-14 || echo clang-format)

# What is not installed is said, and the rest goes on. Other versions of clang-format would want
# other line breaks. luac gets one file a call: Debian's dies of more.
lint:
	@bad=0; missing() { echo "lint: $$1 is not installed: $$2"; }; \
	if $(CLANG_FORMAT) --version 2>/dev/null | grep -q 'version 14\.'; then \
		$(CLANG_FORMAT) --dry-run -Werror $(C_FILES) || bad=1; \
	else missing 'clang-format 14' 'the format of the C files is not checked'; fi; \
	if command -v luac5.4 >/dev/null; then \
		for f in $(LUA_FILES); do luac5.4 -p $$f || bad=1; done; \
	else missing luac5.4 'the syntax of the Lua files is not checked'; fi; \
	if command -v luacheck >/dev/null; then \
		luacheck -q $(LUA_FILES) || bad=1; \
	else missing luacheck 'unused and unknown names in Lua are not looked for'; fi; \
	exit $$bad

LUA_VERSION := 5.4
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include \
		$(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)/trail \
		$(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)/trail/cli
	install -m 755 $(B)/trail $(DESTDIR)$(PREFIX)/bin/
	install -m 644 src/trail.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(B)/libtrail.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(B)/libtrail.so.0 $(DESTDIR)$(PREFIX)/lib/
	ln -sf libtrail.so.0 $(DESTDIR)$(PREFIX)/lib/libtrail.so
	install -m 755 $(B)/lua/trail/core.so $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)/trail/
	install -m 644 lua/trail/*.lua $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)/trail/
	install -m 644 lua/trail/cli/*.lua $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)/trail/cli/

help:
	@echo 'make demo      build, then import, query, verify and damage sample events'
	@echo 'make test      every spec, plain and under the sanitizers (SPECS=spec/x_spec.lua for one)'
	@echo 'make all       build/trail, build/libtrail.so and .a, build/lua/trail/core.so'
	@echo 'make bench     measure against SQLite, Postgres and the hardware; writes build/bench.json'
	@echo 'make examples  the C examples: build/append, build/query'
	@echo 'make lint      clang-format, luac and luacheck, as far as they are installed'
	@echo 'make install   under PREFIX=$(PREFIX), behind DESTDIR'
	@echo 'make clean     remove build/'
	@echo 'make -s env    lines for eval: PATH, LUA_PATH, LUA_CPATH of this checkout'

clean:
	rm -rf build
