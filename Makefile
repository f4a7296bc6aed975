# SPDX-License-Identifier: GPL-2.0
#
# make          the module, the daemon and the tool, for this host
# make deps     installs the packages that this takes                 (root)
# make install  daemon, tool, units, manual pages, ...; `make uninstall` undoes it
# make modules_install the module; `make modules_uninstall` undoes it  (root)
# make deb      Debian packages of all that, in .build/deb; `make deps deb`
# make demo     the whole chain alive, in a VM                (root)
# make check    every test in every world; TEST=name runs one (root)
# make bench    the bridge against the socket: BENCH=, ACCEL=kvm      (root)
# make fuzz     the fuzzers: DOOR=channel, socket, device, control; MINUTES=10 (root)
# make soak     ROUNDS=1000 of accidents, on each data path; WORLD=      (root)
# make shell    a test VM with everything loaded, interactive (root)
# make lint     what the compilers and checkers have to say
# make programs everything but the module: tests and their devices, too
#
# WORLD=        bookworm, trixie, backports, "two of them": the Debian to test on;
#               default: check and lint take all, demo and shell bookworm. Or debug
#               or race, which are trixie with a kernel that tells. Or host, an
#               operator's, for check only: packages, reboot, libvirt, ...
# KDIR=         kernel headers to build the module for; by default those of the
#               running kernel, else the newest installed
# SAN=1         programs with AddressSanitizer and UBSan (`make check` does)

B := .build
VM := selftests/vm

# The kernel whose headers to build against. Empty if there are none.
ifndef KDIR
KDIR := $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	$(shell ls -d /usr/src/linux-headers-*-amd64 2>/dev/null | sort -rV))
endif
KREL = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null)
MODULE_DIR = $(B)/module-$(KREL)
MODULE = $(MODULE_DIR)/vfio_user_mdev.ko

O := $(B)$(if $(SAN),/san)
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE= -Iuapi \
	-MMD -MP
ifdef SAN
override CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
override LDFLAGS += -fsanitize=address,undefined
endif
NL_CFLAGS = $(shell pkg-config --cflags libnl-genl-3.0 json-c)
NL_LIBS = $(shell pkg-config --libs libnl-genl-3.0 json-c)
override CFLAGS += $(NL_CFLAGS)

HELPER := vfio-user-mdevd vfio-user-mdevctl
DEVICES := vum-serial vum-puppet vum-virtio-blk
TESTS := $(sort $(notdir $(basename $(wildcard selftests/tests/*.c selftests/fuzz/doors/*.c))))
ROWS := $(patsubst selftests/bench/rows/%.c,%,$(sort $(wildcard selftests/bench/rows/*.c)))
PROGRAMS := $(addprefix $(O)/bin/,$(HELPER) $(DEVICES) $(TESTS:%=test-%) \
	$(ROWS:%=bench-%))

objs = $(patsubst %.c,$(O)/obj/%.o,$(sort $(1)))
ctl_only := $(wildcard helper/ctl*.c) helper/command-name.c
shared := $(wildcard helper/netlink*.c) helper/uuid.c

.PHONY: all module helper programs demo check bench fuzz soak shell lint clean
all: module helper

# Packages are named if they are missing, and installed by `make deps` only. Headers are
# those of the running kernel, if Debian has made it.

BUILD_PACKAGES := gcc libc6-dev make pkg-config libnl-3-dev libnl-genl-3-dev libjson-c-dev
HEADERS = $(if $(KREL),,linux-headers-$(or $(filter %-amd64,$(shell uname -r)),amd64))
.PHONY: deps have
deps:
	@$(VM)/packages.sh $(BUILD_PACKAGES) $(HEADERS) \
		$(if $(filter deb,$(MAKECMDGOALS)),$(DEB_PACKAGES))
# In `make deps deb`, this is looked at after that.
have: $(filter deps,$(MAKECMDGOALS))
	@$(VM)/packages.sh --check $(BUILD_PACKAGES) $(if $(filter-out helper programs \
		install deb,$(or $(MAKECMDGOALS),all)),$(HEADERS)) \
		$(if $(filter deb,$(MAKECMDGOALS)),$(DEB_PACKAGES))

# The module is built in a copy of its sources, one for each kernel.

module: | have
	@if [ -z "$(KREL)" ]; then \
		echo "make: no kernel headers in KDIR=$(KDIR), and so no module" >&2; exit 1; \
	fi; \
	mkdir -p $(MODULE_DIR) && \
	cp -pu --parents Kbuild kmod/*.[ch] uapi/*.h $(MODULE_DIR) && \
	$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR)/$(MODULE_DIR) \
		$(MODULE_ARGS) modules && \
	echo "  MODULE  $(MODULE)"

helper: $(addprefix $(O)/bin/,$(HELPER))

$(O)/obj/%.o: %.c | have
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(CFLAGS) -c -o $@ $<

define program
$(O)/bin/$(1): $(2)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) $$(LDFLAGS) -o $$@ $$^ $(3)
endef

devices_shared := selftests/devices/pciconf.c helper/command-name.c $(wildcard selftests/server/*.c)
lib := $(wildcard selftests/lib/*.c)
$(eval $(call program,vfio-user-mdevd,$(call objs,$(filter-out $(ctl_only),$(wildcard helper/*.c))),$$(NL_LIBS)))
$(eval $(call program,vfio-user-mdevctl,$(call objs,$(ctl_only) $(shared)),$$(NL_LIBS)))
$(eval $(call program,vum-serial,$(call objs,selftests/devices/serial.c selftests/devices/uart16550.c $(devices_shared)),-ljson-c))
$(eval $(call program,vum-puppet,$(call objs,$(wildcard selftests/devices/puppet*.c) $(devices_shared)),-ljson-c))
$(eval $(call program,vum-virtio-blk,$(call objs,$(wildcard selftests/devices/virtio_blk*.c) selftests/devices/virtqueue.c $(devices_shared)),-ljson-c))
source_of = $(wildcard selftests/tests/$(1).c selftests/fuzz/doors/$(1).c)
parts_of = $(if $(filter fuzz_%,$(1)),$(wildcard selftests/fuzz/*.c))
$(foreach t,$(TESTS),$(eval $(call program,test-$(t),$(call objs,$(call source_of,$(t)) $(call parts_of,$(t)) $(lib)),-lpthread $$(NL_LIBS))))
$(foreach r,$(ROWS),$(eval $(call program,bench-$(r),$(call objs,selftests/bench/rows/$(r).c $(wildcard selftests/bench/*.c) $(lib)),-lpthread -lm $$(NL_LIBS))))

# Daemon and tool as of another interface version, for what module and helper say then.
ifneq ($(filter helper,$(TESTS)),)
NEXT := $(addprefix $(O)/bin/next-,$(HELPER))
PROGRAMS += $(NEXT)
$(NEXT): $(wildcard helper/*.[ch]) $(wildcard uapi/*.h)
	@mkdir -p $(@D) $(O)/next/$(@F)
	@echo "  CC      $@"
	@cp -rp helper uapi $(O)/next/$(@F) && \
	sed -i 's/\(define VUM_API_VERSION\).*/\1 9999/' $(O)/next/$(@F)/uapi/vfio_user_mdev.h && \
	$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(LDFLAGS) -o $@ $(addprefix $(O)/next/$(@F)/,$(if \
		$(findstring ctl,$@),$(ctl_only) $(shared),$(filter-out $(ctl_only),$(wildcard helper/*.c)))) $(NL_LIBS)
endif

# Runs in guests that have no libraries, and so without sanitizers.
ifndef SAN
PROGRAMS += $(O)/bin/guest-bench $(O)/bin/guest-move
$(eval $(call program,guest-bench,$(call objs,$(wildcard selftests/guest/bench*.c)),-static))
$(eval $(call program,guest-move,$(call objs,selftests/guest/move.c),-static -lpthread))
endif

programs: $(PROGRAMS)

-include $(shell find $(B) -name '*.d' -path '*/obj/*' 2>/dev/null)

demo:
	@WORLD='$(WORLD)' selftests/demo.sh

check:
	@WORLD='$(WORLD)' selftests/check.sh $(TEST)

bench:
	@WORLD='$(WORLD)' ACCEL='$(ACCEL)' selftests/bench/bench.sh $(BENCH)

fuzz:
	@MINUTES='$(MINUTES)' selftests/fuzz/fuzz.sh $(DOOR)

soak:
	@VUM_SOAK_ROUNDS='$(or $(ROUNDS),1000)' VUM_TEST_SECONDS=10800 \
		WORLD='$(or $(WORLD),bookworm bookworm/relay)' selftests/check.sh soak

shell:
	@WORLD='$(WORLD)' selftests/shell.sh

lint:
	@selftests/lint.sh $(WORLD)

include helper/install.mk helper/deb.mk

clean:
	rm -rf $(B)
