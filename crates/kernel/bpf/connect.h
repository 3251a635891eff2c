/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * connect4, connect6 (rows A2, A7, A8).
 */
#ifndef HOSTLET_CONNECT_H
#define HOSTLET_CONNECT_H

struct connecting {
	struct hl_addr to; /* in: as asked; out: where to */
	struct hl_addr from; /* what the socket is bound to, or all zero */
	__u16 port;
	__u16 from_port;
	__u8 proto;
	bool socket6;
};

static inline int bind_source(struct bpf_sock_addr *ctx, bool socket6, const struct hl_addr *source)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (!socket6) {
		in.sin_addr.s_addr = source->w[3];
		return bpf_bind(ctx, (struct sockaddr *)&in, sizeof(in));
	}
	__builtin_memcpy(&in6.sin6_addr, source, sizeof(*source));
	return bpf_bind(ctx, (struct sockaddr *)&in6, sizeof(in6));
}

/*
 * A socket of both families on the wildcard stands on an address of IPv4, and the kernel does not let it
 * connect to IPv6. One that was bound to an address of IPv4 could not on a machine either: no event.
 */
static inline bool dual_stack(struct bpf_sock *sk)
{
	struct hl_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);

	return s && (s->flags & HL_SOCK_WILD4) && (s->flags & HL_SOCK_WILD6);
}

/* A bound socket cannot be given a source; those who see it may be told of one. */
static inline void note_source(struct bpf_sock_addr *ctx, struct bpf_sock *sk, struct hl_hostlet *h,
			       const struct connecting *c, bool own_loop)
{
	struct hl_known_key key;

	if (addr_is4(&c->from) != addr_is4(&c->to))
		return; /* which the kernel refuses */
	if (own_loop || owns(h, &c->to)) {
		key = known_key(h->id, c->proto, c->from_port, &c->to, c->port);
		note_known(ctx, sk, h, &key, &c->from);
	} else {
		not_known(sk);
	}
}

/* In place of why not: the socket is to be as outside. */
#define LET_PASS WHY(HL_REASON_NO_ROUTE, 0)

/*
 * All but sockets that have neither an address nor a port, in hostlets that have a route for all; 0, or WHY not.
 * `source`: of the loopback, for a destination there.
 */
SHARED int connect_bound(struct bpf_sock_addr *ctx, struct hl_hostlet *h, const struct connecting *c,
			 bool own_loop, struct hl_addr *source)
{
	bool unbound, hears, abroad, four;
	struct hl_known_key key;
	struct bpf_sock *sk = ctx->sk;
	struct hl_addr none = {};
	struct hl_sock *s;
	int error;

	if (!sk || !h || !c || !source)
		return 0;
	four = addr_is4(&c->to);
	unbound = addr_wild(&c->from);
	/* Bound to a group or a broadcast address: that is where it hears, not where it sends from. */
	hears = for_many(h, &c->from);
	abroad = !unbound && !hears && c->from_port && is_abroad(sk);
	if (!unbound && !hears && !abroad && !owns(h, &c->from))
		return WHY(HL_REASON_FOREIGN_SOURCE,
			   addr_is4(&c->from) ? kernel.foreign_source_error : EINVAL);
	/* Without an address of the family there is no route, whatever the source. */
	if (!own_loop && !(h->flags & (four ? HL_V4 : HL_V6)) && !(h->flags & HL_FIT_PASS))
		/* But such a socket of IPv6 has it for a source as well, which comes before there is no route. */
		return WHY(HL_REASON_NO_ADDRESS, hears && four && c->socket6 ? EINVAL : ENETUNREACH);
	if ((hears || abroad) && addr_is4(&c->from) && !four)
		return 0; /* which the kernel refuses */
	if (!unbound && !hears && c->from_port) {
		if (!own_loop && addr_is4(&c->from) && four && !owns(h, &c->to) &&
		    (is_loop(h, &c->from) || known_from_loop(sk, h)))
			return WHY(0, EINVAL);
		if (abroad) {
			key = known_key(h->id, c->proto, c->from_port, &c->to, c->port);
			return go_abroad(ctx, &key, &c->from, &c->from);
		}
		if (addr_is4(&c->from) && !four && dual_stack(sk))
			return WHY(HL_REASON_DUAL_STACK, EAFNOSUPPORT);
		note_source(ctx, sk, h, c, own_loop);
		/* UDP that an earlier connect gave a source: it can be refused, but not be given another. */
		if (c->proto == IPPROTO_TCP || own_loop || !unfit(sk, h, &c->to) ||
		    bpf_sk_storage_get(&socks, sk, 0, 0))
			return 0;
		return WHY(HL_REASON_NO_ROUTE, ENETUNREACH);
	}
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	/* A port that the kernel chose went when it was connected to nothing. */
	if (s && !c->from_port)
		forget_known(sk, s);
	/*
	 * What is left of an earlier connect may change: the program did not ask for it. Nor did it where
	 * it bound the wildcard and left the port open (IP_BIND_ADDRESS_NO_PORT).
	 */
	if (!unbound && !hears && s && !(s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)))
		return own_loop || !no_way_from_loop(h, &c->from, &c->to) ? 0 : WHY(0, EINVAL);
	if (s && !(s->flags & HL_SOCK_WILD6) && addr_is4(&c->from) && !four)
		return 0; /* bound to ::ffff:0.0.0.0: which the kernel refuses */
	if (!own_loop && unfit(sk, h, &c->to)) {
		if (!(h->flags & HL_FIT_PASS))
			return WHY(HL_REASON_NO_ROUTE, ENETUNREACH);
		/* What an earlier connect left goes: the route shall give the source. */
		if (!unbound && bind_source(ctx, c->socket6, &none))
			return WHY(HL_REASON_NO_ROUTE, ENETUNREACH);
		return LET_PASS;
	}
	if (!own_loop) {
		error = any_source(ctx, h, &c->to, source);
		if (error)
			return WHY(HL_REASON_NO_ADDRESS, error);
	}
	/* On the real wildcard, by bind or an earlier sendto: the route gives its source (see abroad.h). */
	if (c->from_port) {
		if (!has_ports(c->proto) || !(h->flags & HL_GUARD))
			return 0;
		key = known_key(h->id, c->proto, c->from_port, &c->to, c->port);
		return go_abroad(ctx, &key, &none, source);
	}
	if (!unbound && addr_eq(&c->from, source))
		return 0;
	if (bind_source(ctx, c->socket6, source))
		return WHY(HL_REASON_FOREIGN_SOURCE, EADDRNOTAVAIL);
	if (!unbound && s && !s->port)
		s->addr = *source;
	return 0;
}

static inline int connect(struct bpf_sock_addr *ctx, struct hl_hostlet *h, struct connecting *c)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_addr asked = c->to, source = {};
	bool own_loop = false;
	struct facts f;
	int why;

	if (!sk)
		return ALLOW;
	if (c->socket6 && addr_is4(&c->to)) {
		learn_facts(sk, &f);
		if (f.v6only)
			return ALLOW; /* the kernel refuses it, with its own error */
	}
	if (h->flags & HL_GONE) {
		why = WHY(HL_REASON_REMOVED, ENETUNREACH);
		goto refuse;
	}
	if (addr_wild(&c->to)) {
		struct hl_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);

		/* It is bound, if only to an address (IP_BIND_ADDRESS_NO_PORT). */
		if (s || c->from_port)
			mean_oneself(ctx, sk, h, s, &c->from, &c->to);
	}
	if (addr_loopback(&c->to) || addr_wild(&c->to) || dedicated_loop(&c->to)) {
		/* Echo sockets show what the kernel knows: they stay where the guard lets echo pass. */
		if ((c->proto == IPPROTO_ICMP || c->proto == IPPROTO_ICMPV6) &&
		    (at_home(&c->to) || addr_wild(&c->to)))
			return ALLOW;
		own_loop = true;
		/* A socket of IPv6 asks for :: and means the loopback of that family. */
		source = *loop_like(h, &c->to);
		why = to_own_loop(h, &c->to, c->port, c->proto, c->proto != IPPROTO_TCP);
		if (why)
			goto refuse;
	}
	/* A datagram that the kernel refused before a hook ran gave it a port. */
	if (c->from_port && c->proto == IPPROTO_UDP && addr_wild(&c->from) &&
	    !bpf_sk_storage_get(&socks, sk, 0, 0))
		enter_sender(ctx, h->id, addr_is4(&c->to));
	if (c->from_port || !addr_wild(&c->from) || (h->flags & (HL_FIT_REFUSE | HL_FIT_PASS))) {
		why = connect_bound(ctx, h, c, own_loop, &source);
		if (why == LET_PASS)
			why = let_pass(ctx);
	} else {
		why = own_loop ? 0 : source_for(ctx, h, &c->to, &source);
		if (why)
			why = WHY(HL_REASON_NO_ADDRESS, why);
		else if (bind_source(ctx, c->socket6, &source))
			why = WHY(HL_REASON_FOREIGN_SOURCE, EADDRNOTAVAIL);
	}
	if (!why) {
		if (c->from_port && c->proto == IPPROTO_UDP && !addr_wild(&c->from))
			note_connected(ctx);
		return ALLOW;
	}
refuse:
	if (WHY_REASON(why))
		refused(h, HL_CALL_CONNECT, WHY_REASON(why), WHY_ERROR(why), c->proto, &asked, c->port,
			&c->from);
	if (WHY_REASON(why) == HL_REASON_DUAL_STACK)
		return ALLOW; /* so far as there is a route; the kernel knows */
	bpf_set_retval(-WHY_ERROR(why));
	return REFUSE;
}

SEC("cgroup/connect4")
int hl_connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct connecting c = {.to = addr4(ONCE(ctx->user_ip4)),
			       .port = bpf_ntohs(ONCE(ctx->user_port)),
			       .proto = ONCE(ctx->protocol),
			       .socket6 = ONCE(ctx->family) == AF_INET6};

	if (!sk)
		return ALLOW;
	c.from = addr4(sk->src_ip4);
	c.from_port = sk->src_port;
	if (connect(ctx, h, &c) == REFUSE)
		return REFUSE;
	ctx->user_ip4 = c.to.w[3];
	return ALLOW;
}

SEC("cgroup/connect6")
int hl_connect6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct connecting c = {
		.port = bpf_ntohs(ONCE(ctx->user_port)), .proto = ONCE(ctx->protocol), .socket6 = true};

	if (!sk)
		return ALLOW;
	read_user_ip6(ctx, &c.to);
	c.from.w[0] = sk->src_ip6[0];
	c.from.w[1] = sk->src_ip6[1];
	c.from.w[2] = sk->src_ip6[2];
	c.from.w[3] = sk->src_ip6[3];
	c.from_port = sk->src_port;
	if (connect(ctx, h, &c) == REFUSE)
		return REFUSE;
	write_user_ip6(ctx, &c.to);
	return ALLOW;
}

#endif
