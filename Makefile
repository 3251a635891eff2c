# Short on purpose: what needs more than a line is in scripts/.
DESTDIR ?=
PREFIX  ?= /usr/local
OUT     := $(or $(CARGO_TARGET_DIR),target)
SHARE    = $(DESTDIR)$(PREFIX)/share
HOSTLET  = $(OUT)/release/hostlet

.PHONY: build demo test lint figures install clean

build: ; @scripts/install-missing build && cargo build --release -p hostlet

demo: ; @scripts/demo

test: ; @scripts/test

lint: ; @scripts/lint

figures: ; @scripts/figures

# After `make build`; needs neither Rust nor the network.
install: $(HOSTLET)
	install -D -m 755 $(HOSTLET) $(DESTDIR)$(PREFIX)/bin/hostlet
	install -d $(SHARE)/man/man1 $(SHARE)/bash-completion/completions \
		$(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(HOSTLET) man $(SHARE)/man/man1
	$(HOSTLET) completions bash > $(SHARE)/bash-completion/completions/hostlet
	$(HOSTLET) completions zsh > $(SHARE)/zsh/site-functions/_hostlet
	$(HOSTLET) completions fish > $(SHARE)/fish/vendor_completions.d/hostlet.fish

$(HOSTLET): ; @echo "nothing to install yet: run make build first" >&2; exit 1

clean: ; cargo clean
