# Short on purpose: what needs more than a line is in scripts/.
DESTDIR ?=
PREFIX  ?= /usr/local
OUT     := $(or $(CARGO_TARGET_DIR),target)
SHARE    = $(DESTDIR)$(PREFIX)/share
HOSTLET  = $(OUT)/release/hostlet
HOSTLETD = $(OUT)/release/hostletd
SYSTEMD  = $(DESTDIR)$(PREFIX)/lib/systemd/system

.PHONY: build demo demo-leases test lint figures fuzz install clean

build: ; @scripts/install-missing build && cargo build --release -p hostlet -p hostlet-daemon

demo: ; @scripts/demo

demo-leases: ; @scripts/demo-leases

test: ; @scripts/test

lint: ; @scripts/lint

figures: ; @scripts/figures

fuzz: ; @scripts/fuzz

# After `make build`; needs neither Rust nor the network.
install: $(HOSTLET) $(HOSTLETD)
	install -D -m 755 $(HOSTLET) $(DESTDIR)$(PREFIX)/bin/hostlet
	install -D -m 755 $(HOSTLETD) $(DESTDIR)$(PREFIX)/sbin/hostletd
	install -D -m 644 dist/hostletd.socket $(SYSTEMD)/hostletd.socket
	sed 's,@sbindir@,$(PREFIX)/sbin,' dist/hostletd.service > $(SYSTEMD)/hostletd.service
	install -d $(SHARE)/man/man1 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions \
		$(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(HOSTLET) man $(SHARE)/man/man1
	$(HOSTLETD) --man > $(SHARE)/man/man8/hostletd.8
	$(HOSTLET) completions bash > $(SHARE)/bash-completion/completions/hostlet
	$(HOSTLET) completions zsh > $(SHARE)/zsh/site-functions/_hostlet
	$(HOSTLET) completions fish > $(SHARE)/fish/vendor_completions.d/hostlet.fish

$(HOSTLET) $(HOSTLETD): ; @echo "nothing to install yet: run make build first" >&2; exit 1

clean: ; cargo clean
