# SPDX-License-Identifier: GPL-2.0
# Debian packages, made in a directory of their own from what they take of this tree. Their
# version is the release that uapi/ has, and there is nothing to say in a changelog but that.

RELEASE := $(shell sed -n 's/^.define VUM_RELEASE[[:space:]]*"\(.*\)"/\1/p' uapi/vfio_user_mdev.h)
DEB := $(B)/deb
DEB_TREE = $(DEB)/tree/vfio-user-mdev-$(RELEASE)
DEB_PACKAGES := build-essential debhelper dh-dkms dpkg-dev
# The date is that of the last commit, if there is one, so that a package can be made again.
DEB_DATE = $(shell git log -1 --format=%cD 2>/dev/null || date -R)

define deb_changelog
vfio-user-mdev ($(RELEASE)) unstable; urgency=medium

  * Release $(RELEASE): see README.md.

 -- vfio-user-mdev maintainers <maintainers@users.noreply.r-seed-19ee8c22.example>  $(DEB_DATE)
endef

.PHONY: deb
deb: export CHANGELOG = $(deb_changelog)
deb: | have
	@rm -rf $(DEB) && mkdir -p $(DEB_TREE)
	@cp -p --parents Makefile Kbuild README.md LICENSE kmod/*.[ch] uapi/*.h \
		$(VM)/packages.sh $(DEB_TREE)
	@cp -pr helper $(DEB_TREE)
	@mv $(DEB_TREE)/helper/debian $(DEB_TREE)/debian
	@echo "$$CHANGELOG" >$(DEB_TREE)/debian/changelog
	@cd $(DEB_TREE) && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -us -uc -b >../log 2>&1 || { cat ../log; exit 1; }
	@mv $(DEB)/tree/vfio-user-mdev*_* $(DEB)
	@ls $(DEB)/*.deb
