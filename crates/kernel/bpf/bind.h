/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * bind4, bind6 (rows A2, A5, A6, C4).
 *
 * An address of the set passes. The wildcard is rewritten to the primary
 * address and the socket remembered as one that stands for the wildcard; the
 * loopback to the hostlet's own. Everything else gets the error of a machine
 * that does not have the address.
 */
#ifndef HOSTLET_BIND_H
#define HOSTLET_BIND_H

struct binding {
	struct hl_addr addr; /* in: as asked; out: where to */
	__u16 port; /* host order; in: as asked; out: as the kernel shall see it */
	__u16 flags; /* enum hl_sock_flag */
	__u8 proto;
	bool socket6;
	struct facts facts;
};

static inline struct bpf_sock *host_socket(struct bpf_sock_addr *ctx, const struct binding *b)
{
	struct bpf_sock_tuple t = {};
	__u32 size = sizeof(t.ipv4);

	if (addr_is4(&b->addr)) {
		t.ipv4.daddr = ANCHOR4;
		t.ipv4.dport = bpf_htons(b->port);
	} else {
		t.ipv6.daddr[0] = ANCHOR6_0;
		t.ipv6.daddr[1] = ANCHOR6_1;
		t.ipv6.daddr[2] = 0xffffffff;
		t.ipv6.daddr[3] = 0xffffffff;
		t.ipv6.dport = bpf_htons(b->port);
		size = sizeof(t.ipv6);
	}
	if (b->proto == IPPROTO_TCP)
		return bpf_sk_lookup_tcp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
	return bpf_sk_lookup_udp(ctx, &t, size, BPF_F_CURRENT_NETNS, 0);
}

/* Where the address that was asked for is to be bound; 0 or an error. */
static inline int translate(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, struct binding *b)
{
	if (addr_wild(&b->addr)) {
		if (!b->socket6 || addr_is4(&b->addr)) {
			b->flags |= HL_SOCK_WILD4;
		} else {
			b->flags |= b->facts.v6only ? HL_SOCK_WILD6 : HL_SOCK_WILD4 | HL_SOCK_WILD6;
		}
		/*
		 * A port that the kernel chooses may be one that is free on the whole host. On the real
		 * wildcard a socket of both families can connect to both.
		 */
		if ((b->flags & HL_SOCK_WILD4) && (b->flags & HL_SOCK_WILD6) && !b->port &&
		    (b->proto == IPPROTO_TCP || b->proto == IPPROTO_UDP) && !addr_any(&h->loop6) &&
		    (h->flags & HL_GUARD) && !keeps_port_open(ctx->sk)) {
			b->flags |= HL_SOCK_AUTO;
			b->addr = (struct hl_addr){};
			return 0;
		}
		/* On a plain IPv6 address the kernel makes a socket V6ONLY for good; on ::ffff:A it has both. */
		b->addr = b->flags & HL_SOCK_WILD4 ? h->primary4 : h->primary6;
		return addr_any(&b->addr) ? EADDRNOTAVAIL : 0;
	}
	if (addr_localhost(&b->addr)) {
		b->addr = *loop_like(h, &b->addr);
		return addr_any(&b->addr) ? EADDRNOTAVAIL : 0;
	}
	if (further_loop(h, &b->addr) && b->addr.w[3] != LOOP_BROADCAST) {
		b->addr.w[3] = extra_for(h->id, b->addr.w[3], true);
		return b->addr.w[3] ? 0 : ENOBUFS;
	}
	if (owns_fast(h, &b->addr) || addr_multicast(&b->addr) || addr_broadcast(&b->addr) ||
	    reachable(h, &b->addr, 0))
		return 0;
	return EADDRNOTAVAIL;
}

/* Siblings on the same port and family: the errors of a machine with these addresses. */
static inline int check_siblings(const struct hl_hostlet *h, struct binding *b, __u16 port, __u8 family)
{
	struct hl_port_key key = port_key(h->id, port, b->proto, family);
	struct hl_port *p = bpf_map_lookup_elem(&ports, &key);

	if (!p)
		return 0;
	if (conflicts(p, b->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6), b->proto == IPPROTO_TCP, &b->facts))
		return EADDRINUSE;
	if (p->hidden) {
		b->port = p->hidden;
		b->flags |= HL_SOCK_HIDDEN;
	}
	return 0;
}

/*
 * A socket of the host on the wildcard holds the port: TCP takes a free port
 * instead, and LISTEN_CB registers the socket under the port that was asked
 * for (C4). For UDP there is no such way; the event says who holds it.
 */
static inline void check_host(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, struct binding *b,
			      const struct hl_addr *asked)
{
	const struct facts *ours = &b->facts;
	struct bpf_sock *sk = host_socket(ctx, b);
	struct facts theirs;
	bool wildcard;

	if (!sk)
		return;
	/* A dual-stack or IPv4 socket has no IPv4 address; one for IPv6 alone no IPv6 address. */
	wildcard = addr_is4(&b->addr) ? sk->src_ip4 == 0
				      : !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]);
	if (wildcard)
		learn_facts(sk, &theirs);
	bpf_sk_release(sk);
	if (!wildcard)
		return;
	if (b->proto == IPPROTO_TCP) {
		if ((ours->class_ & theirs.class_ & 2) && ours->uid == theirs.uid)
			return; /* they share the port, and the kernel lets them */
		b->flags |= HL_SOCK_HIDDEN;
		b->port = 0;
	} else if (!(ours->class_ & theirs.class_ & 1) &&
		   !((ours->class_ & theirs.class_ & 2) && ours->uid == theirs.uid)) {
		refused(h, HL_CALL_BIND, HL_REASON_PORT_HELD, EADDRINUSE, b->proto, asked, b->port, 0);
	}
}

/*
 * Where what this thread binds is kept until post_bind; none where nothing can be kept.
 *
 * Threat: a member whose number meets a neighbour's here, and that binds all the time. It must not have the neighbour's
 * calls fail: what is taken stays so until it is given back, or is old.
 */
static inline struct hl_binding *place_to_bind(struct bpf_sock *sk)
{
	__u32 thread = bpf_get_current_pid_tgid(), index = thread % HL_BINDING, at = bpf_jiffies64();
	struct hl_binding *now = bpf_map_lookup_elem(&binding, &index);
	__u64 was, is = (__u64)at << 32 | thread;

	if (!now)
		return 0;
	was = ONCE(now->thread);
	if ((!was || (__u32)was == thread || at - (__u32)(was >> 32) > HL_BINDING_ENDS) &&
	    __sync_val_compare_and_swap(&now->thread, was, is) == was)
		return now;
	now = sk ? bpf_sk_storage_get(&held, sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : 0;
	if (now)
		now->thread = is;
	return now;
}

/* For post_bind: what the socket stands for. */
static inline bool remember(struct bpf_sock *sk, const struct hl_hostlet *h, const struct binding *b,
			    __u16 port)
{
	struct hl_binding *now = place_to_bind(sk);

	if (!now)
		return false;
	now->flags = b->flags;
	now->port = port;
	now->class_ = b->facts.class_;
	now->uid = b->facts.uid;
	/* With IP_BIND_ADDRESS_NO_PORT there is no post_bind; connect, listen and sendmsg will want to know. */
	if (!b->port && sk && keeps_port_open(sk)) {
		struct hl_sock *kept, s = {.id = h->id,
					   .flags = b->flags,
					   .port = port,
					   .proto = b->proto,
					   .addr = b->addr};

		kept = bpf_sk_storage_get(&socks, sk, &s, BPF_SK_STORAGE_GET_F_CREATE);
		if (!kept)
			return false;
		*kept = s; /* it may be bound again */
	}
	return true;
}

static inline int bind(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, struct binding *b)
{
	struct hl_addr asked = b->addr;
	__u16 port = b->port;
	int error;

	tell_facts(facts_for_bind(ctx, port), &b->facts);
	if (h->flags & HL_GONE)
		error = EADDRNOTAVAIL;
	else
		error = translate(ctx, h, b);
	/* Of IPv6 alone and an address of IPv4: that comes before whose address it is. */
	if (b->socket6 && addr_is4(&b->addr) && b->facts.v6only) {
		error = EINVAL;
		goto refuse;
	}
	/* Bound already: only an IPv4 socket is told of a foreign address before that. */
	if (ctx->sk && ctx->sk->src_port && (!error || b->socket6)) {
		error = EINVAL;
		goto refuse;
	}
	if (error) {
		refused(h, HL_CALL_BIND,
			h->flags & HL_GONE ? HL_REASON_REMOVED
			: error == ENOBUFS ? HL_REASON_TABLE_FULL
					   : HL_REASON_FOREIGN_ADDRESS,
			error, b->proto, &asked, port, 0);
		goto refuse;
	}
	/* Which the kernel refuses before it asks who has the port. */
	if (b->proto == IPPROTO_TCP && !addr_is4(&b->addr) && addr_multicast(&b->addr))
		return ALLOW;
	if (has_ports(b->proto) && port) {
		bool wild = b->flags, four = addr_is4(&b->addr);

		error = 0;
		if (wild ? b->flags & HL_SOCK_WILD4 : four)
			error = check_siblings(h, b, port, 4);
		if (!error && (wild ? b->flags & HL_SOCK_WILD6 : !four))
			error = check_siblings(h, b, port, 6);
		if (error)
			goto refuse; /* an ordinary error of the program's own making: no event */
		if (b->facts.listener && !(b->flags & HL_SOCK_HIDDEN) && b->proto != IPPROTO_UDPLITE)
			check_host(ctx, h, b, &asked);
	}
	if (has_ports(b->proto) && !remember(ctx->sk, h, b, port)) {
		refused(h, HL_CALL_BIND, HL_REASON_TABLE_FULL, ENOBUFS, b->proto, &asked, port, 0);
		error = ENOBUFS;
		goto refuse;
	}
	return ALLOW;
refuse:
	bpf_set_retval(-error);
	return REFUSE;
}

/*
 * Of another family than the socket: what stands there is no address, and leaves no mark. The kernel's own error, which
 * comes before all others; of AF_UNSPEC it takes 0.0.0.0, but no address that a hook could put there.
 */
static inline int no_address(void)
{
	bpf_set_retval(-EAFNOSUPPORT);
	return REFUSE;
}

SEC("cgroup/bind4")
int hl_bind4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct binding b = {.addr = addr4(ONCE(ctx->user_ip4)),
			    .port = bpf_ntohs(ONCE(ctx->user_port)),
			    .proto = ONCE(ctx->protocol),
			    .socket6 = ONCE(ctx->family) == AF_INET6};

	if (ONCE(ctx->user_family) != AF_INET)
		return no_address();
	if (bind(ctx, h, &b) == REFUSE)
		return REFUSE;
	ctx->user_ip4 = b.addr.w[3];
	ctx->user_port = bpf_htons(b.port);
	return ALLOW;
}

SEC("cgroup/bind6")
int hl_bind6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct binding b = {
		.port = bpf_ntohs(ONCE(ctx->user_port)), .proto = ONCE(ctx->protocol), .socket6 = true};

	if (ONCE(ctx->user_family) != AF_INET6)
		return no_address();
	read_user_ip6(ctx, &b.addr);
	if (bind(ctx, h, &b) == REFUSE)
		return REFUSE;
	write_user_ip6(ctx, &b.addr);
	ctx->user_port = bpf_htons(b.port);
	return ALLOW;
}

#endif
