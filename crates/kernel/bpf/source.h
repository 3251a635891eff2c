/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which address an unbound socket leaves from (row A7): the dedicated loopback
 * to the loopback, the address itself to an address of the set, then the route's own
 * preference, then what the route's interface and subnet make fit, by policy.
 */
#ifndef HOSTLET_SOURCE_H
#define HOSTLET_SOURCE_H

enum { LOOPBACK_IFINDEX = 1 };

/* What a machine with these addresses reaches by "this machine". */
static inline bool means_loopback(const struct hl_addr *a)
{
	return addr_wild(a) || addr_localhost(a);
}

static inline __u32 mix(__u32 x)
{
	x ^= x >> 16;
	x *= 0x7feb352d;
	x ^= x >> 15;
	x *= 0x846ca68b;
	return x ^ (x >> 16);
}

static inline bool source_on(const struct hl_hostlet *h, __u32 ifindex, const struct hl_addr *dst,
			     struct hl_addr *out)
{
	struct hl_source_key key = {.id = h->id, .ifindex = ifindex, .family = addr_is4(dst) ? 4 : 6};
	struct hl_source_entry *e = bpf_map_lookup_elem(&sources, &key);

	if (!e)
		return false;
	if (h->source != HL_SOURCE_PRIMARY && e->count > 1) {
		__u32 n = h->source == HL_SOURCE_RANDOM
				  ? bpf_get_prandom_u32()
				  : mix(dst->w[0] ^ mix(dst->w[1] ^ mix(dst->w[2] ^ mix(dst->w[3]))));

		key.index = n % e->count;
		e = bpf_map_lookup_elem(&sources, &key);
		if (!e)
			return false;
	}
	*out = e->addr;
	return true;
}

/* To an address beyond the hostlet's own, on a machine with several: as the route has it. */
static inline bool routed_source(const struct hl_hostlet *h, const struct hl_addr *dst, struct hl_addr *out)
{
	struct hl_onlink_key key = {.prefixlen = 128};
	struct hl_route *route;
	struct hl_onlink *near;

	/* The key of the one table without its end is that of the other. */
	((struct hl_prefix_key *)&key)->addr = *dst;
	route = bpf_map_lookup_elem(&routes, &key);
	if (!route)
		return false;
	if (!addr_any(&route->source) && owns(h, &route->source)) {
		*out = route->source;
		return true;
	}
	if (h->source == HL_SOURCE_PRIMARY) {
		key.prefixlen = 160;
		key.id = h->id;
		key.addr = addr_any(&route->gateway) ? *dst : route->gateway;
		near = bpf_map_lookup_elem(&onlink, &key);
		if (near && near->ifindex == route->ifindex) {
			*out = near->addr;
			return true;
		}
	}
	return source_on(h, route->ifindex, dst, out) ||
	       ((h->flags & (HL_FIT_REFUSE | HL_FIT_PASS)) && source_on(h, LOOPBACK_IFINDEX, dst, out));
}

/*
 * Is the destination reachable from an address of the hostlet (row B10): does its best route leave by
 * an interface that has one of that family? What is on the loopback interface is on no link, and so fit
 * for all. `dev`: the interface that the socket is bound to, or 0.
 */
SHARED int fits(struct hl_hostlet *h, struct hl_addr *dst, __u32 dev)
{
	struct hl_source_key sk = {.ifindex = dev};
	struct hl_prefix_key rk = {128};
	struct hl_route *route;

	if (!h || !dst)
		return 1;
	rk.addr = *dst;
	if (owner_of(&rk.addr) || bpf_map_lookup_elem(&locals, &rk))
		return 1;
	if (!dev) {
		route = bpf_map_lookup_elem(&routes, &rk);
		if (!route)
			return 1; /* the kernel has its own error for that */
		sk.ifindex = route->ifindex;
	}
	sk.id = h->id;
	sk.family = family_of(&rk.addr);
	if (bpf_map_lookup_elem(&sources, &sk))
		return 1;
	sk.ifindex = LOOPBACK_IFINDEX;
	return bpf_map_lookup_elem(&sources, &sk) != 0;
}

SHARED int unfit_on(struct hl_hostlet *h, struct hl_addr *dst, __u32 dev)
{
	bool four;

	if (!h || !dst)
		return false;
	four = addr_is4(dst);
	if (addr_multicast(dst) || addr_broadcast(dst) ||
	    (!four && (dst->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000)))
		return false;
	/* Cut off from everything: that is no reason to pass. */
	if (!(h->flags & (HL_V4 | HL_V6)))
		return false;
	/* choose_source has the refusal for it. */
	if (!(h->flags & (four ? HL_V4 : HL_V6)))
		return h->flags & HL_FIT_PASS;
	return !fits(h, dst, dev);
}

/*
 * Is this destination one for which the hostlet's addresses are not to be used? Groups and link-local
 * addresses go by an interface that the program names or knows.
 */
static inline bool unfit(struct bpf_sock *sk, struct hl_hostlet *h, const struct hl_addr *dst)
{
	struct hl_addr copy;

	if (!(h->flags & (HL_FIT_REFUSE | HL_FIT_PASS)))
		return false;
	copy = *dst;
	return unfit_on(h, &copy, sk->bound_dev_if);
}

/*
 * To an address of the set: IPv6 answers itself; IPv4 uses the first address of that
 * subnet, as the kernel's own local routes have it.
 */
static inline void own_source(const struct hl_hostlet *h, const struct hl_addr *dst, struct hl_addr *out)
{
	struct hl_onlink_key key = {160, h->id, *dst};
	struct hl_onlink *near = addr_is4(dst) ? bpf_map_lookup_elem(&onlink, &key) : 0;

	*out = near ? near->addr : *dst;
}

/* For a destination that is neither the loopback nor multicast; 0 or an error. */
static inline int choose_source(const struct hl_hostlet *h, const struct hl_addr *dst, struct hl_addr *out)
{
	bool four = addr_is4(dst);

	if (!(h->flags & (four ? HL_V4 : HL_V6)))
		return ENETUNREACH;
	*out = four ? h->primary4 : h->primary6;
	if (!(h->flags & (four ? HL_MANY4 : HL_MANY6)))
		return 0;
	if (owns_fast(h, dst)) {
		own_source(h, dst, out);
		return 0;
	}
	if (h->flags & (four ? HL_ROUTED4 : HL_ROUTED6)) {
		if (routed_source(h, dst, out))
			return 0;
	} else if (h->source == HL_SOURCE_PRIMARY) {
		return 0;
	}
	source_on(h, 0, dst, out);
	return 0;
}

/* For a multicast destination the socket may name an address or an interface (IP_MULTICAST_IF). */
static inline bool named_source(struct bpf_sock *sk, const struct hl_hostlet *h, const struct hl_addr *dst,
				struct hl_addr *out)
{
	struct inet_sock *inet = (struct inet_sock *)kernel_sock(sk);
	struct hl_addr named = addr4(BPF_CORE_READ(inet, mc_addr));
	int ifindex = BPF_CORE_READ(inet, mc_index);

	if (!addr_wild(&named) && owns(h, &named)) {
		*out = named;
		return true;
	}
	return ifindex && source_on(h, ifindex, dst, out);
}

/* For any but the loopback. */
static inline int socket_source(struct bpf_sock *sk, const struct hl_hostlet *h, const struct hl_addr *dst,
				struct hl_addr *out)
{
	if (addr_is4(dst) && addr_multicast(dst) && named_source(sk, h, dst, out))
		return 0;
	return choose_source(h, dst, out);
}

SHARED int any_source(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, const struct hl_addr *dst,
		      struct hl_addr *out)
{
	struct bpf_sock *sk = ctx->sk;

	return sk && h && dst && out ? socket_source(sk, h, dst, out) : ENETUNREACH;
}

/* Has it but one address for that destination? */
static inline bool one_source(const struct hl_hostlet *h, const struct hl_addr *dst)
{
	__u32 has = addr_is4(dst) ? HL_V4 : HL_V6, many = addr_is4(dst) ? HL_MANY4 : HL_MANY6;

	return (h->flags & (has | many)) == has && !addr_multicast(dst);
}

/* For a destination that is not the loopback; 0 or an error. */
static inline int source_for(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, const struct hl_addr *dst,
			     struct hl_addr *out)
{
	struct hl_addr to;

	if (one_source(h, dst)) {
		*out = addr_is4(dst) ? h->primary4 : h->primary6;
		return 0;
	}
	to = *dst;
	return any_source(ctx, h, &to, out);
}

/*
 * 0.0.0.0 for a connected socket that stands for the wildcard: the address that its connection leaves from, which can
 * be another than where it stands (see known.h, abroad.h).
 */
SHARED int mean_connected(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, const struct hl_addr *from,
			  struct hl_addr *to)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_known_at *at;
	struct hl_sock *s;

	if (!sk || !h || !from || !to)
		return 0;
	*to = *from;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || !(s->flags & HL_SOCK_KNOWN_AS) || ((s->flags & HL_SOCK_ABROAD) && owns(h, from)))
		return 0;
	at = bpf_sk_storage_get(&known_at, sk, 0, 0);
	*to = at && addr_is4(&at->shown) ? at->shown : addr4(0);
	return 0;
}

/*
 * 0.0.0.0 as a destination is the loopback for who has no address, and the own address for who is bound
 * to one; :: is 127.0.0.1 for who is bound to a mapped one, or connected from one.
 */
static inline void mean_oneself(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct hl_hostlet *h,
				const struct hl_sock *s, const struct hl_addr *from, struct hl_addr *to)
{
	bool abroad = s && (s->flags & HL_SOCK_ABROAD);
	struct hl_addr is, own;

	if (!addr_wild(to) || addr_wild(from) || !addr_is4(from))
		return;
	if (addr_is4(to) && !abroad && for_many(h, from))
		return;
	if (!addr_is4(to)) {
		if (!s || !(s->flags & HL_SOCK_WILD6) || abroad)
			*to = addr4(bpf_htonl(0x7f000001));
	} else if (!abroad &&
		   (!s || !(s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) || !addr_eq(from, &s->addr))) {
		/* A datagram may name another source than where its socket stands. */
		*to = *from;
	} else if (sk->state == BPF_TCP_ESTABLISHED) {
		is = *from;
		mean_connected(ctx, h, &is, &own);
		*to = own;
	}
}

/*
 * IPv4 leads nowhere from a loopback address but to the machine itself; the kernel would take the
 * host's other addresses for that.
 */
static inline bool no_way_from_loop(const struct hl_hostlet *h, const struct hl_addr *from,
				    const struct hl_addr *to)
{
	return addr_is4(from) && addr_is4(to) && is_loop(h, from) && !owns(h, to);
}

/* Does the hostlet itself serve this port on its loopback? Then that comes before the host's. */
static inline bool serves(const struct hl_hostlet *h, const struct hl_addr *a, __u16 port, __u8 proto)
{
	struct hl_port_key key = port_key(h->id, port, proto, addr_is4(a) ? 4 : 6);
	struct hl_port *p = bpf_map_lookup_elem(&ports, &key);

	if (!p || !further_loop(h, a))
		return p;
	return p->wild[0] | p->wild[1] | p->wild[2] | p->wild[3] || extra_for(h->id, a->w[3], false);
}

/* A host's loopback service that was opened to the hostlet, such as the resolver stub. */
static inline bool host_service(const struct hl_hostlet *h, const struct hl_addr *a, __u16 port, __u8 proto)
{
	return reachable(h, a, port) && !serves(h, a, port, proto);
}

/*
 * Why a call is refused, and with which error: what functions that find it out return. 0: it is not. Without a
 * reason the error is the program's own making, as on every machine, and there is no event.
 */
#define WHY(reason_, error_) ((reason_) << 16 | (error_))
#define WHY_REASON(why_)     ((why_) >> 16)
#define WHY_ERROR(why_)	     ((why_) & 0xffff)

/*
 * The address of the hostlet's own that a loopback address stands for, but for a service of the host that was
 * opened to it; 0 or WHY not. To one that was
 * never named before, a call to a port where the hostlet has no socket needs no address (`make` false).
 */
SHARED int to_any_loop(const struct hl_hostlet *h, struct hl_addr *a, __u16 port, __u8 proto, bool make)
{
	struct hl_port_key key;
	__u32 ip;

	if (!h || !a || host_service(h, a, port, proto))
		return 0;
	if (means_loopback(a)) {
		*a = *loop_like(h, a);
		return addr_any(a) ? WHY(HL_REASON_NO_ADDRESS, ENETUNREACH) : 0;
	}
	if (is_loop(h, a))
		return 0;
	if (!addr_is4(a))
		return WHY(HL_REASON_FOREIGN_LOOPBACK, ENETUNREACH);
	if (a->w[3] == LOOP_BROADCAST)
		return WHY(HL_REASON_FOREIGN_LOOPBACK, proto == IPPROTO_TCP ? ENETUNREACH : EACCES);
	key = port_key(h->id, port, proto, 4);
	make = make || bpf_map_lookup_elem(&ports, &key);
	ip = extra_for(h->id, a->w[3], make);
	if (!ip && make)
		return WHY(HL_REASON_TABLE_FULL, ENOBUFS);
	/* Nobody is there: nobody is at the usual address either, and the kernel says so. */
	a->w[3] = ip ? ip : h->loop4.w[3];
	return 0;
}

static inline int to_own_loop(const struct hl_hostlet *h, struct hl_addr *a, __u16 port, __u8 proto,
			      bool make)
{
	struct hl_addr copy;
	int why;

	/* Nothing but the usual one. */
	if (means_loopback(a) && !(h->flags & HL_REACH) && !addr_any(loop_like(h, a))) {
		*a = *loop_like(h, a);
		return 0;
	}
	copy = *a;
	why = to_any_loop(h, &copy, port, proto, make);
	*a = copy;
	return why;
}

#endif
