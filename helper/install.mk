# SPDX-License-Identifier: GPL-2.0
# What goes where on a host. The lists of files below are all that `install` and
# `uninstall` know, so that the one undoes the other.

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
SHAREDIR ?= $(PREFIX)/share
DOCDIR ?= $(SHAREDIR)/doc/vfio-user-mdev
UNITDIR ?= /lib/systemd/system
UDEVDIR ?= /lib/udev/rules.d
SYSUSERSDIR ?= /usr/lib/sysusers.d
TMPFILESDIR ?= /usr/lib/tmpfiles.d
CALLOUTDIR ?= /usr/lib/mdevctl/scripts.d/callouts

# The files that name the daemon's directory, as they are installed.
H := $(O)/host
UNITS := vfio-user-mdevd.service vfio-user-mdevs.service
EXAMPLES := $(notdir $(wildcard helper/examples/*))
COMPLETION := $(wildcard helper/vfio-user-mdevctl.bash)

# One word for each file: its mode, the file in this tree, where it goes.
INSTALLED := \
	$(foreach f,$(HELPER),755,$(O)/bin/$(f),$(SBINDIR)/$(f)) \
	$(foreach f,$(notdir $(wildcard helper/*.8)),644,helper/$(f),$(SHAREDIR)/man/man8/$(f)) \
	$(foreach f,$(UNITS),644,$(H)/$(f),$(UNITDIR)/$(f)) \
	644,helper/host/vfio-user-mdev.rules,$(UDEVDIR)/60-vfio-user-mdev.rules \
	644,helper/host/vfio-user-mdev.sysusers,$(SYSUSERSDIR)/vfio-user-mdev.conf \
	644,helper/host/vfio-user-mdev.tmpfiles,$(TMPFILESDIR)/vfio-user-mdev.conf \
	755,helper/host/mdevctl-callout.sh,$(CALLOUTDIR)/vfio-user-mdev \
	$(foreach f,$(COMPLETION),644,$(f),$(SHAREDIR)/bash-completion/completions/vfio-user-mdevctl) \
	644,README.md,$(DOCDIR)/README.md \
	$(foreach f,$(EXAMPLES),644,helper/examples/$(f),$(DOCDIR)/examples/$(f))

# mdevctl before 1.3 looks for callouts below /etc only, and later ones below /etc as well.
LINK := $(CALLOUTDIR)/vfio-user-mdev
LINK_AT := /etc/mdevctl.d/scripts.d/callouts/vfio-user-mdev

comma := ,
part = $(word $(1),$(subst $(comma), ,$(2)))

# Between commands, so that the first that fails is the last.
define newline


endef

# Remove directories that are empty now: all below DESTDIR; on the host itself those that
# nothing but this project and mdevctl has.
ours := $(DOCDIR)/examples $(DOCDIR) /etc/mdevctl.d/scripts.d/callouts \
	/etc/mdevctl.d/scripts.d $(CALLOUTDIR) $(CALLOUTDIR)/.. $(CALLOUTDIR)/../..
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
	mkdir -p $(dir $(DESTDIR)$(LINK_AT))
	ln -sf $(LINK) $(DESTDIR)$(LINK_AT)

uninstall:
	rm -f $(foreach f,$(INSTALLED),$(DESTDIR)$(call part,3,$(f))) $(DESTDIR)$(LINK_AT)
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
