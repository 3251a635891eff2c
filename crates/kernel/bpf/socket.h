/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of a socket: created, bound, listening, gone (rows A6, A12, A15).
 *
 * What is registered after a bind is taken back when the last descriptor is
 * closed, by the program or by its death.
 */
#ifndef HOSTLET_SOCKET_H
#define HOSTLET_SOCKET_H

SEC("cgroup/sock_create")
int hl_sock_create(struct bpf_sock *ctx)
{
	struct hl_hostlet *h = HOSTLET_OR_ALLOW(ctx);
	__u32 type = ONCE(ctx->type), proto = ONCE(ctx->protocol);
	enum hl_reason reason;
	int error;

	/* Where it cannot be marked, it is one of the hostlet: nothing leaves by mistake. */
	if ((h->flags & HL_EXCLUDE) && excluded_program() && MARK_PASSING(ctx, HL_EXCLUDE))
		return ALLOW;
	if (type == SOCK_RAW) {
		if (h->flags & HL_RAW)
			return ALLOW;
		reason = HL_REASON_RAW;
		error = EPERM;
	} else if (has_ports(proto) || proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		return ALLOW;
	} else {
		/* MPTCP among them: programs fall back to TCP on this error. */
		reason = HL_REASON_PROTOCOL;
		error = EPROTONOSUPPORT;
	}
	refused(h, HL_CALL_SOCKET, reason, error, proto, 0, 0, 0);
	bpf_set_retval(-error);
	return REFUSE;
}

/*
 * A UDP socket is connected: the kernel gives it its peer's datagrams by itself, and those of others are for a
 * sibling, as one on the wildcard (servers of QUIC and DTLS have such sockets, one for each client).
 */
static inline void count_connected(const struct hl_sock *s, int by)
{
	struct change c = {.claim = CLAIM_LISTENER, .by = by};
	struct hl_port_key key = port_key(s->id, s->port, IPPROTO_UDP, family_of(&s->addr));
	struct hl_globals *g = global();

	key.addr = s->addr;
	port_change(&key, &c);
	/* See idle_share. */
	if (s->class_ && g)
		__sync_fetch_and_add(&g->wild_udp, by);
}

/* A socket that has no address of the hostlet yet is as outside from now on; 0 or WHY not. */
SHARED int let_pass(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_sock *s, left;

	if (!sk)
		return 0;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	/* What is in the book would keep the answers from it. */
	if (s && s->flags) {
		forget_known(sk, s);
		left = *s;
		s->flags = 0;
		if (left.flags & HL_SOCK_CONNECTED)
			count_connected(&left, -1);
		account(&left, -1);
	}
	return MARK_PASSING(sk, HL_FIT_PASS) ? 0 : WHY(HL_REASON_TABLE_FULL, ENOBUFS);
}

static inline void learn_anew(const struct hl_sock *s, __u8 family)
{
	struct hl_port_key key = port_key(s->id, s->port, IPPROTO_UDP, family);
	struct hl_port *p = bpf_map_lookup_elem(&ports, &key);

	if (p) {
		p->learned = 0;
		p->mixed = 1;
		unsettle(key.port);
	}
}

SHARED int note_connected(struct bpf_sock_addr *ctx)
{
	enum { NOT = HL_SOCK_AUTO | HL_SOCK_CONNECTED };
	struct bpf_sock *sk = ctx->sk;
	struct hl_sock *s = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : 0;

	if (!s || (s->flags & (HL_SOCK_BOUND | NOT)) != HL_SOCK_BOUND)
		return 0;
	s->flags |= HL_SOCK_CONNECTED;
	count_connected(s, 1);
	/* One on the primary address may have been found in place of one on the wildcard that shares its port. */
	learn_anew(s, 4);
	learn_anew(s, 6);
	return 0;
}

/* A socket got its address and port. */
static inline int bound(struct bpf_sock *ctx, const struct hl_hostlet *h, const struct hl_addr *addr)
{
	__u32 thread = bpf_get_current_pid_tgid(), index = thread % HL_BINDING;
	struct hl_binding *now = bpf_map_lookup_elem(&binding, &index);
	__u16 port = ONCE(ctx->src_port);
	struct hl_sock *s, fresh = {.id = h->id, .port = port, .addr = *addr};
	__u8 proto = ONCE(ctx->protocol);

	if (!has_ports(ONCE(ctx->protocol)))
		return ALLOW;
	if (now && (__u32)now->thread != thread)
		now = bpf_sk_storage_get(&held, ctx, 0, 0);
	/* It took so long that the place was given to another. */
	if (!now || (__u32)now->thread != thread)
		goto full;
	fresh.flags = now->flags | HL_SOCK_BOUND;
	fresh.proto = proto;
	fresh.class_ = now->class_;
	fresh.uid = now->uid;
	if (fresh.flags & HL_SOCK_HIDDEN) {
		fresh.port = now->port;
		fresh.hidden = port;
	}
	now->thread = 0;
	s = bpf_sk_storage_get(&socks, ctx, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		goto full;
	*s = fresh;
	if (!account(&fresh, 1))
		return ALLOW;
	s->flags = 0; /* this kind of program cannot delete it */
full:
	refused(h, HL_CALL_BIND, HL_REASON_TABLE_FULL, ENOBUFS, proto, addr, port, 0);
	bpf_set_retval(-ENOBUFS);
	return REFUSE;
}

SEC("cgroup/post_bind4")
int hl_post_bind4(struct bpf_sock *ctx)
{
	struct hl_hostlet *h = HOSTLET_UNLESS(ctx, ctx, found_passing); /* as bind had it */
	struct hl_addr addr = addr4(ONCE(ctx->src_ip4));

	return bound(ctx, h, &addr);
}

SEC("cgroup/post_bind6")
int hl_post_bind6(struct bpf_sock *ctx)
{
	struct hl_hostlet *h = HOSTLET_UNLESS(ctx, ctx, found_passing); /* as bind had it */
	struct hl_addr addr;

	addr.w[0] = ONCE(ctx->src_ip6[0]);
	addr.w[1] = ONCE(ctx->src_ip6[1]);
	addr.w[2] = ONCE(ctx->src_ip6[2]);
	addr.w[3] = ONCE(ctx->src_ip6[3]);
	return bound(ctx, h, &addr);
}

SEC("cgroup/sock_release")
int hl_sock_release(struct bpf_sock *ctx)
{
	struct hl_sock *found = bpf_sk_storage_get(&socks, ctx, 0, 0), s;

	if (!found)
		return ALLOW;
	count_known(found, false);
	s = *found;
	if (s.flags & HL_SOCK_LISTEN)
		count_listener(&s, -1);
	if (s.flags & HL_SOCK_CONNECTED)
		count_connected(&s, -1);
	if (s.flags & (HL_SOCK_BOUND | HL_SOCK_AUTO))
		account(&s, -1);
	return ALLOW;
}

/*
 * Puts a listener into the first free slot. When all are taken, any one gives way: the kernel spreads
 * over a SO_REUSEPORT group from any of its sockets, and the newest live longest.
 */
static inline int register_listener(struct bpf_sock_ops *ctx, struct hl_listener_key *key)
{
	int i;

	for (i = 0; i < HL_SLOTS; i++) {
		long error;

		key->slot = i;
		error = bpf_sock_hash_update(ctx, &listeners, key, BPF_NOEXIST);
		if (error != -EEXIST)
			return error;
	}
	key->slot = bpf_get_prandom_u32() % HL_SLOTS;
	return bpf_sock_hash_update(ctx, &listeners, key, BPF_ANY);
}

/*
 * listen() without bind: the program means the wildcard. The kernel chose the port, and put it
 * on the host's real wildcard, or on the address that an earlier connect left behind. Or the program
 * bound an address and left the port open (IP_BIND_ADDRESS_NO_PORT).
 */
static inline struct hl_sock *listening_unbound(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
						const struct hl_hostlet *h, const struct hl_addr *local)
{
	struct hl_sock *s, fresh = {.id = h->id,
				    .flags = addr_wild(local) ? HL_SOCK_AUTO : HL_SOCK_BOUND,
				    .port = ONCE(ctx->local_port),
				    .proto = IPPROTO_TCP,
				    .addr = *local};
	struct facts f;

	learn_facts(sk, &f);
	fresh.class_ = f.class_;
	fresh.uid = f.uid;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (s) /* bound to the wildcard, or beside a socket of the host, port left open */
		fresh.flags |= s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6 | HL_SOCK_HIDDEN);
	else if (ONCE(ctx->family) != AF_INET6)
		fresh.flags |= HL_SOCK_WILD4;
	else
		fresh.flags |= f.v6only ? HL_SOCK_WILD6 : HL_SOCK_WILD4 | HL_SOCK_WILD6;
	if (s && (s->flags & HL_SOCK_HIDDEN)) {
		fresh.hidden = fresh.port;
		fresh.port = s->port;
	}
	s = bpf_sk_storage_get(&socks, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (s)
		*s = fresh;
	if (!s || !account(&fresh, 1))
		return s;
	s->flags = 0; /* not in the book: nothing to take out later */
	refused(h, HL_CALL_LISTEN, HL_REASON_TABLE_FULL, ENOBUFS, IPPROTO_TCP, local, fresh.port, 0);
	return 0;
}

/* It listens again after a shutdown, which gave its port back: the kernel chose another just now. */
static inline void move_listener(struct bpf_sock *sk, struct hl_sock *s, const struct hl_addr *local,
				 __u16 port)
{
	if (s->flags & HL_SOCK_LISTEN)
		count_listener(s, -1);
	if (s->flags & (HL_SOCK_BOUND | HL_SOCK_AUTO))
		account(s, -1);
	forget_known(sk, s); /* an earlier connect may have failed */
	s->flags = (s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) |
		   (addr_wild(local) ? HL_SOCK_AUTO : HL_SOCK_BOUND);
	s->port = port;
	s->addr = *local;
	if (account(s, 1))
		s->flags = 0; /* not in the book: nothing to take out later */
}

static inline void listening(struct bpf_sock_ops *ctx, const struct hl_hostlet *h)
{
	struct hl_listener_key key = {.id = h->id};
	enum hl_reason reason = HL_REASON_TABLE_FULL;
	struct bpf_sock *sk = ctx->sk;
	struct hl_addr local, four;
	struct hl_sock *s, now;
	int error = 0, refusal = ENOBUFS;

	if (!sk)
		return;
	/* Both are read before the choice: see ONCE. */
	four = addr4(ONCE(ctx->local_ip4));
	local.w[0] = ONCE(ctx->local_ip6[0]);
	local.w[1] = ONCE(ctx->local_ip6[1]);
	local.w[2] = ONCE(ctx->local_ip6[2]);
	local.w[3] = ONCE(ctx->local_ip6[3]);
	if (ONCE(ctx->family) != AF_INET6)
		local = four;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || !s->port || ((s->flags & HL_SOCK_HIDDEN) && !s->hidden))
		s = listening_unbound(ctx, sk, h, &local);
	if (!s)
		return;
	if (!(s->flags & HL_SOCK_HIDDEN) && s->port != ONCE(ctx->local_port))
		move_listener(sk, s, &local, ONCE(ctx->local_port));
	now = *s;
	key.port = now.port;
	if (MPTCP_OF(sk)) {
		/* A table of sockets would take MPTCP's functions from it: nobody can be given to this one. */
		error = refusal = EPROTONOSUPPORT;
		reason = HL_REASON_PROTOCOL;
	} else if (spoils_connections(sk)) {
		error = refusal = EOPNOTSUPP;
		reason = HL_REASON_ACCEPTED;
	} else if (now.flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) {
		key.family = 4;
		if (now.flags & HL_SOCK_WILD4)
			error = register_listener(ctx, &key);
		key.family = 6;
		if (!error && (now.flags & HL_SOCK_WILD6))
			error = register_listener(ctx, &key);
	} else {
		key.addr = local;
		key.family = family_of(&local);
		note_on_one(key.port);
		error = register_listener(ctx, &key);
	}
	if (error)
		refused(h, HL_CALL_LISTEN, reason, refusal, IPPROTO_TCP, &local, key.port, 0);
	if (!(now.flags & HL_SOCK_LISTEN)) {
		s->flags = now.flags | HL_SOCK_LISTEN;
		count_listener(&now, 1);
	}
}

SEC("sockops")
int hl_sock_ops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk;
	struct hl_hostlet *h;

	if (ONCE(ctx->op) != BPF_SOCK_OPS_TCP_LISTEN_CB)
		return ALLOW;
	sk = ctx->sk;
	h = HOSTLET_FOR(ctx, sk);
	listening(ctx, h);
	return ALLOW;
}

#endif
