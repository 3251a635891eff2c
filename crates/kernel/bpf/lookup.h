/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sk_lookup (rows A2, A6, A9, C4): who gets a new connection or a datagram for
 * an address that a hostlet owns. Runs for the whole network namespace; for
 * addresses of no hostlet it costs one look-up.
 *
 * An owned address without a socket of its hostlet answers as a machine without
 * that service does: the host's services on the wildcard never get to see it.
 */
#ifndef HOSTLET_LOOKUP_H
#define HOSTLET_LOOKUP_H

/* One that is bound to an interface (SO_BINDTODEVICE) hears there alone, which bpf_sk_assign does not look at. */
static inline bool hears_there(const struct bpf_sk_lookup *ctx, const struct bpf_sock *sk)
{
	__u32 dev = ONCE(sk->bound_dev_if);

	return !dev || dev == ctx->ingress_ifindex;
}

static inline bool give_to_one(struct bpf_sk_lookup *ctx, const struct hl_listener_key *key)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&listeners, key);
	long error;

	if (!sk)
		return false;
	/* One that was shut down stays in the table and is refused here. */
	error = !hears_there(ctx, sk) || bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return !error;
}

static inline int give_to_listener(struct bpf_sk_lookup *ctx, struct hl_listener_key *key)
{
	int i;

	for (i = 0; i < HL_SLOTS; i++) {
		key->slot = i;
		if (give_to_one(ctx, key))
			return 1;
	}
	return 0;
}

static inline int lookup_tcp(struct bpf_sk_lookup *ctx, const struct hl_owner *o, const struct hl_addr *local)
{
	struct hl_listener_key key = {.id = o->id, .port = ctx->local_port};
	struct hl_port_key pk = port_key(o->id, key.port, IPPROTO_TCP, family_of(local));
	struct hl_globals *g = global();
	struct hl_port *p;

	if (!g)
		return SK_DROP;
	key.family = pk.family;
	/* The first of those that come before all others, as there mostly is. */
	if (may_listen_on_one(g, key.port))
		key.addr = *local;
	if (give_to_one(ctx, &key))
		return SK_PASS;
	key.addr = (struct hl_addr){};
	/* Say no, or ask for the one kind there is, without going through slot after slot. */
	p = bpf_map_lookup_elem(&ports, &pk);
	if (!p)
		return SK_DROP;
	if (p->listeners) {
		key.addr = *local;
		if (give_to_listener(ctx, &key))
			return SK_PASS;
		key.addr = (struct hl_addr){};
	}
	if (p->wild_listeners && give_to_listener(ctx, &key))
		return SK_PASS;
	return SK_DROP;
}

/* Notes which address a client spoke to, so that the answer leaves from it (C3). */
static inline void note_asked(const struct hl_addr *stands, __u16 port, const struct hl_addr *peer,
			      __u16 peer_port, const struct hl_addr *local)
{
	struct hl_asked_key key = asked_key(stands, port, peer, peer_port);
	struct hl_addr *a = bpf_map_lookup_elem(&asked, &key);

	if (!a || !addr_eq(a, local))
		bpf_map_update_elem(&asked, &key, local, BPF_ANY);
}

static inline bool has_wild(const struct hl_port *p)
{
	return p->wild[0] | p->wild[1] | p->wild[2] | p->wild[3];
}

static inline bool has_specific(const struct hl_port *p)
{
	return p->specific[0] | p->specific[1] | p->specific[2] | p->specific[3];
}

/* Of a port: was there never but one socket, on the wildcard and not connected? */
static inline bool one_wild(const struct hl_port *p)
{
	return has_wild(p) && !p->mixed && !has_specific(p);
}

/* Are all sockets on an address connected? Then none is for who is not their peer. */
static inline bool all_connected(const struct hl_port *p)
{
	__u32 all = 0;
	int i;

	if (!p->listeners)
		return false;
	for (i = 0; i < HL_CLASSES; i++)
		all += p->wild[i] + p->specific[i];
	return p->listeners >= all;
}

/*
 * Do all sockets on an address share its port, and are all connected, or were? Then what is for none of their peers could
 * reach a socket of the host that shares it too. One that is connected to nothing again, which no hook sees, the
 * learner finds and puts into the table.
 */
static inline bool idle_share(const struct hl_port *p)
{
	return has_specific(p) && !p->specific[0] && all_connected(p);
}

static inline bool learner_asks(void)
{
	__u32 zero = 0, *asks = bpf_map_lookup_elem(&asking, &zero);

	return asks && *asks;
}

static inline bool give_to_idle(struct bpf_sk_lookup *ctx, struct hl_listener_key *key)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&udp_sockets, key);
	bool given;

	if (!sk)
		return false;
	given = sk->state != BPF_TCP_ESTABLISHED && hears_there(ctx, sk) && !bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return given;
}

/* A datagram of IPv4 to where the kernel finds the socket by itself, as was found out before. */
static inline bool found_before(struct bpf_sk_lookup *ctx, __u64 was, const struct hl_addr *local,
				const struct hl_addr *peer)
{
	__u16 port = ctx->local_port;

	if (!settled_for(was, local->w[3], port) || !(was & HL_SETTLED_FOUND))
		return false;
	if (was & HL_SETTLED_ASKED)
		note_asked(local, port, peer, bpf_ntohs(ctx->remote_port), local);
	return true;
}

/* `was`: what was known of it before; of IPv6 nothing is kept. */
static inline int lookup_udp(struct bpf_sk_lookup *ctx, const struct hl_owner *o, const struct hl_addr *local,
			     const struct hl_addr *peer, __u64 was)
{
	__u16 port = ctx->local_port, peer_port = bpf_ntohs(ctx->remote_port);
	struct hl_port_key key = port_key(o->id, port, IPPROTO_UDP, family_of(local));
	struct hl_listener_key lk = {.id = o->id, .port = port};
	struct hl_port *p, *here = 0;
	struct hl_addr stands;
	struct bpf_sock *sk;
	long error;

	p = bpf_map_lookup_elem(&ports, &key);
	if (!p)
		return SK_DROP;
	/* One socket on the wildcard and none beside it, as most servers: no need to ask what is on this very address. */
	if (!one_wild(p)) {
		key.addr = *local;
		here = bpf_map_lookup_elem(&ports, &key);
	} else if (addr_eq(&p->wild_addr, local)) {
		here = p;
	}
	if (here && !all_connected(here)) {
		/* A socket on this very address: the kernel finds it by itself. */
		bool many = has_wild(here) && (o->flags & HL_OWNER_MANY);

		if (many)
			note_asked(local, port, peer, peer_port, local);
		/* What stands for a loopback address becomes another hostlet's in time. */
		if (addr_is4(local) && !extra_loop(local->w[3]))
			settle(was, local->w[3], port, HL_SETTLED_FOUND | (many ? HL_SETTLED_ASKED : 0));
		return SK_PASS;
	}
	/* Whether one is connected to nothing again. */
	if (here && learner_asks())
		return SK_PASS;
	lk.family = key.family;
	if (here && idle_share(here)) {
		lk.addr = *local;
		if (give_to_idle(ctx, &lk))
			return SK_PASS;
		lk.addr = (struct hl_addr){};
	}
	if (has_wild(p)) {
		sk = bpf_map_lookup_elem(&udp_sockets, &lk);
		if (sk) {
			error = !hears_there(ctx, sk) || bpf_sk_assign(ctx, sk, 0);
			bpf_sk_release(sk);
			if (!error) {
				stands = p->wild_addr;
				note_asked(&stands, port, peer, peer_port, local);
				return SK_PASS;
			}
		}
		/* Closed meanwhile, with a sibling left: have the learner look again. */
		p->learned = 0;
		unsettle(port);
	}
	/* Connected to nothing again, it is for the one on this address after all. */
	return p->autobound || (here && has_specific(here) && !idle_share(here)) ? SK_PASS : SK_DROP;
}

/*
 * An address of the host: not for a member's socket that the kernel put on the real wildcard.
 * The guard would drop the packet; this has the host answer as if the socket were not there.
 */
static inline int lookup_host(struct bpf_sk_lookup *ctx, const struct hl_addr *local, __u64 was)
{
	struct hl_port_key key = port_key(0, ctx->local_port, ctx->protocol, family_of(local));
	struct hl_globals *g = global();

	/* No packet is for the wildcard: somebody looks for the socket itself, to destroy it. */
	if (!g || addr_wild(local))
		return SK_PASS;
	if (g->autobound && bpf_map_lookup_elem(&ports, &key))
		return SK_DROP;
	if (ctx->protocol == IPPROTO_UDP && addr_is4(local))
		settle_host(was, local, key.port, HL_SETTLED_FOUND);
	return SK_PASS;
}

SEC("sk_lookup")
int hl_lookup(struct bpf_sk_lookup *ctx)
{
	/* Both families are read before the choice: see ONCE. */
	struct hl_addr local4 = addr4(ONCE(ctx->local_ip4)), peer4 = addr4(ONCE(ctx->remote_ip4));
	struct hl_addr local = {{ONCE(ctx->local_ip6[0]), ONCE(ctx->local_ip6[1]), ONCE(ctx->local_ip6[2]),
				 ONCE(ctx->local_ip6[3])}};
	struct hl_addr peer = {{ONCE(ctx->remote_ip6[0]), ONCE(ctx->remote_ip6[1]), ONCE(ctx->remote_ip6[2]),
				ONCE(ctx->remote_ip6[3])}};
	const struct hl_owner *o;
	__u64 *slot, was = 0;

	if (ctx->family == AF_INET) {
		local = local4;
		peer = peer4;
		slot = ctx->protocol == IPPROTO_UDP ? settled_slot(local.w[3], ctx->local_port) : 0;
		was = slot ? ONCE(*slot) : 0;
		if (slot && found_before(ctx, was, &local, &peer))
			return SK_PASS;
	}
	/* The look-up that bind does for sockets of the host. */
	if (addr_is4(&local) ? local.w[3] == ANCHOR4 : dedicated_loop(&local) && local.w[3] == 0xffffffff)
		return SK_PASS;
	o = owner_of(&local);
	if (!o)
		return lookup_host(ctx, &local, was);
	if (ctx->protocol == IPPROTO_TCP)
		return lookup_tcp(ctx, o, &local);
	if (ctx->protocol == IPPROTO_UDP)
		return lookup_udp(ctx, o, &local, &peer, was);
	return SK_PASS;
}

#endif
