# Short on purpose: what needs more than a line is in scripts/.
DESTDIR ?=
PREFIX  ?= /usr/local
OUT     := $(or $(CARGO_TARGET_DIR),target)
SHARE    = $(DESTDIR)$(PREFIX)/share
HOSTLET  = $(OUT)/release/hostlet
HOSTLETD = $(OUT)/release/hostletd
SYSTEMD  = $(DESTDIR)$(PREFIX)/lib/systemd/system
# Where PAM and the C library look for modules, whatever the prefix; nothing uses them before it is told to.
LIBDIR  ?= /usr/lib/$(shell cc -print-multiarch 2>/dev/null)

.PHONY: build demo demo-leases demo-sessions conformance test lint bench bench-quick suites fuzz endurance vm-test bypass install clean

build: ; @scripts/build

demo: ; @scripts/demo

demo-leases: ; @scripts/demo-leases

demo-sessions: ; @scripts/demo-sessions

conformance: ; @scripts/conformance

test: ; @scripts/test

lint: ; @scripts/lint

bench: ; @scripts/bench

bench-quick: ; @scripts/bench --quick

suites: ; @scripts/suites

fuzz: ; @scripts/fuzz

bypass: ; @scripts/bypass

endurance: ; @scripts/endurance

vm-test: ; @scripts/vm-test

# After `make build`; needs neither Rust nor the network.
install: $(HOSTLET) $(HOSTLETD)
	install -D -m 755 $(HOSTLET) $(DESTDIR)$(PREFIX)/bin/hostlet
	install -D -m 755 $(HOSTLETD) $(DESTDIR)$(PREFIX)/sbin/hostletd
	install -D -m 644 $(OUT)/release/libpam_hostlet.so $(DESTDIR)$(LIBDIR)/security/pam_hostlet.so
	install -D -m 644 $(OUT)/release/libnss_hostlet.so $(DESTDIR)$(LIBDIR)/libnss_hostlet.so.2
	install -D -m 644 dist/hostletd.socket $(SYSTEMD)/hostletd.socket
	sed 's,@sbindir@,$(PREFIX)/sbin,' dist/hostletd.service > $(SYSTEMD)/hostletd.service
	install -d $(SHARE)/man/man1 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions \
		$(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d $(SHARE)/doc/hostlet
	install -m 644 docs/*.md $(SHARE)/doc/hostlet
	install -D -m 644 -t $(SHARE)/doc/hostlet/performance docs/performance/*.svg
	$(HOSTLET) man $(SHARE)/man/man1
	$(HOSTLETD) --man > $(SHARE)/man/man8/hostletd.8
	$(HOSTLET) completions bash > $(SHARE)/bash-completion/completions/hostlet
	$(HOSTLET) completions zsh > $(SHARE)/zsh/site-functions/_hostlet
	$(HOSTLET) completions fish > $(SHARE)/fish/vendor_completions.d/hostlet.fish

$(HOSTLET) $(HOSTLETD): ; @echo "nothing to install yet: run make build first" >&2; exit 1

clean: ; cargo clean
