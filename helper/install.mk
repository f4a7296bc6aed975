# SPDX-License-Identifier: GPL-2.0
# What goes where on a host. The lists of files below are all that `install` and
# `uninstall` know, so that the one undoes the other.

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
SHAREDIR ?= $(PREFIX)/share
DOCDIR ?= $(SHAREDIR)/doc/vfio-user-mdev
UNITDIR ?= /lib/systemd/system

# The files that name the daemon's directory, as they are installed.
H := $(O)/host
UNITS := vfio-user-mdevd.service
EXAMPLES := $(notdir $(wildcard helper/examples/*))
COMPLETION := $(wildcard helper/vfio-user-mdevctl.bash)

# One word for each file: its mode, the file in this tree, where it goes.
INSTALLED := \
	$(foreach f,$(HELPER),755,$(O)/bin/$(f),$(SBINDIR)/$(f)) \
	$(foreach f,$(notdir $(wildcard helper/*.8)),644,helper/$(f),$(SHAREDIR)/man/man8/$(f)) \
	$(foreach f,$(UNITS),644,$(H)/$(f),$(UNITDIR)/$(f)) \
	$(foreach f,$(COMPLETION),644,$(f),$(SHAREDIR)/bash-completion/completions/vfio-user-mdevctl) \
	644,README.md,$(DOCDIR)/README.md \
	$(foreach f,$(EXAMPLES),644,helper/examples/$(f),$(DOCDIR)/examples/$(f))

comma := ,
part = $(word $(1),$(subst $(comma), ,$(2)))

# $(newline) between commands, so that the first that fails is the last.
define newline


endef

# tidy DIRECTORY...: remove those that are empty, and those above them below DESTDIR; on the
# host itself, only those that are of this project alone.
ours := $(DOCDIR)/examples $(DOCDIR)
tidy = $(if $(DESTDIR),\
	[ ! -d "$(DESTDIR)" ] || find "$(DESTDIR)" -mindepth 1 -depth -type d -empty -delete,\
	rmdir --ignore-fail-on-non-empty $(wildcard $(ours)) 2>/dev/null || :)

.PHONY: install uninstall modules_install modules_uninstall
install: helper
	@mkdir -p $(H)
	@for unit in $(UNITS); do \
		sed 's|/usr/sbin|$(SBINDIR)|' helper/host/$$unit >$(H)/$$unit || exit; \
	done
	$(foreach f,$(INSTALLED),install -D -m $(call part,1,$(f)) $(call part,2,$(f)) \
		$(DESTDIR)$(call part,3,$(f))$(newline))

uninstall:
	rm -f $(foreach f,$(INSTALLED),$(DESTDIR)$(call part,3,$(f)))
	@$(tidy)

# The kernel's own way, with two things told: where to, which not all kernels agree on, and
# that there is no key to sign with. And depmod is run here: where there is no System.map, as
# beside headers, the kernel's way does not run it, and warns.
MODULE_DEST = $(DESTDIR)/lib/modules/$(KREL)/updates
depmod = $(if $(DESTDIR),,depmod $(KREL))
modules_install: module
	@$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR)/$(MODULE_DIR) \
		INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates INSTALL_MOD_STRIP=1 \
		CONFIG_MODULE_SIG_ALL= cmd_depmod=: modules_install
	$(depmod)

modules_uninstall:
	rm -f $(MODULE_DEST)/vfio_user_mdev.ko $(MODULE_DEST)/vfio_user_mdev.ko.*
	@$(if $(DESTDIR),$(tidy),rmdir --ignore-fail-on-non-empty $(MODULE_DEST) 2>/dev/null || :)
	$(depmod)
